import { fileURLToPath } from "node:url";
import { askProcess } from "./ask_process.ts";
import { float32Of } from "./by_lopper.ts";

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
 * What llama.cpp makes of a GGUF file, by node-llama-cpp in a process of Node's: Deno cannot
 * install that version, which names a package for RISC-V that was not published. $NODE_LLAMA_CPP
 * names the folder in which `npm install node-llama-cpp@3.22.1` was run; null with a line that says
 * what is skipped where it is not set.
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
  const request = { texts, ids, positions, new_tokens: newTokens };
  const answer = await askProcess("node", [SCRIPT, file], request) as
    & Omit<LlamaCppAnswer, "distributions">
    & { readonly distributions: readonly string[] };
  return { ...answer, distributions: answer.distributions.map(float32Of) };
}
