import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../interop/read_with_llama_cpp.mjs", import.meta.url));

export interface LlamaCppRequest {
  /** Texts to be tokenised. */
  readonly texts: readonly string[];
  /** A prompt. */
  readonly ids: readonly number[];
  /** At how many of its last places the distribution of the next token is asked for. */
  readonly positions: number;
  readonly newTokens: number;
}

export interface LlamaCppAnswer {
  readonly version: string;
  readonly architecture: string;
  readonly layers: number;
  readonly tensors: number;
  /** Bytes of the tensors, as llama.cpp counts them. */
  readonly modelBytes: number;
  readonly vocabulary: number;
  readonly tokens: readonly (readonly number[])[];
  /** Probabilities by token. */
  readonly distributions: readonly Float32Array[];
  readonly greedy: readonly number[];
}

/**
 * What llama.cpp makes of a GGUF file, by node-llama-cpp in a process of Node's: Deno cannot install that version, which names
 * a package for RISC-V that was not published. $NODE_LLAMA_CPP names the folder in which
 * `npm install node-llama-cpp@3.22.1` was run; null with a line that says what is skipped where it is not set.
 */
export async function readWithLlamaCpp(
  file: string,
  { texts, ids, positions, newTokens }: LlamaCppRequest,
): Promise<LlamaCppAnswer | null> {
  if (Deno.env.get("NODE_LLAMA_CPP") === undefined) {
    console.log(
      "skipped: this test needs node-llama-cpp 3.22.1 ($NODE_LLAMA_CPP names the folder where npm installed it)",
    );
    return null;
  }
  const process = new Deno.Command("node", {
    args: [SCRIPT, file],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  const request = { texts, ids, positions, new_tokens: newTokens };
  await writer.write(new TextEncoder().encode(JSON.stringify(request)));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  const answer = JSON.parse(new TextDecoder().decode(stdout));
  return {
    ...answer,
    distributions: answer.distributions.map((text: string) =>
      new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)
    ),
  };
}
