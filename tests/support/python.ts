/**
 * A Python that has a package, or null with a line that says what is skipped for want of it. The Python that is asked is
 * LOPPER_PYTHON, else `.venv/bin/python` in the repository, else `python3`.
 */
export async function pythonWith(
  packageName: string,
  what: string,
): Promise<string | null> {
  const named = Deno.env.get("LOPPER_PYTHON");
  for (const python of named ? [named] : [".venv/bin/python", "python3"]) {
    try {
      const args = ["-c", `import ${packageName}`];
      if ((await new Deno.Command(python, { args }).output()).success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  console.log(
    `skipped: ${what} needs the Python package ${packageName} (LOPPER_PYTHON names the Python that has it; ` +
      "scripts/oracles/requirements.txt has the versions)",
  );
  return null;
}
