import { askProcess } from "./ask_process.ts";

/** Where a Python is looked for. */
export interface PythonPlace {
  /** The environment variable that names it. */
  readonly variable: string;
  /** Where it is without the variable; the first that has the package. */
  readonly usual: readonly string[];
  /** The file with the versions, in scripts/oracles. */
  readonly requirements: string;
}

const PLACE: PythonPlace = {
  variable: "LOPPER_PYTHON",
  usual: [".venv/bin/python", "python3"],
  requirements: "requirements.txt",
};

/** A Python that has a package, or null with a line that says what is skipped for want of it. */
export async function pythonWith(
  packageName: string,
  what: string,
  { variable, usual, requirements }: PythonPlace = PLACE,
): Promise<string | null> {
  const named = Deno.env.get(variable);
  for (const python of named ? [named] : usual) {
    try {
      const args = ["-c", `import ${packageName}`];
      if ((await new Deno.Command(python, { args }).output()).success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  console.log(
    `skipped: ${what} needs the Python package ${packageName} (${variable} names the Python that has it; ` +
      `scripts/oracles/${requirements} has the versions)`,
  );
  return null;
}

/** Runs a script of tests/interop on a request in JSON and returns its answer in JSON. */
export async function runPython(
  python: string,
  script: URL,
  args: readonly string[],
  request: unknown,
): Promise<unknown> {
  const env = { HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" };
  return await askProcess(python, [script.pathname, ...args], request, env);
}
