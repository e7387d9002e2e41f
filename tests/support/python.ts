/** The Python interpreter of the interop tests: that of $PYTHON, of `.venv`, or the system's. */
async function interpreter(): Promise<string> {
  const named = Deno.env.get("PYTHON");
  if (named !== undefined) return named;
  const own = await Deno.stat(".venv/bin/python").then(() => true, () => false);
  return own ? ".venv/bin/python" : "python3";
}

/** Runs a script of tests/interop on a request in JSON and returns its answer in JSON. */
export async function runPython(
  script: URL,
  args: readonly string[],
  request: unknown,
): Promise<unknown> {
  const process = new Deno.Command(await interpreter(), {
    args: [script.pathname, ...args],
    env: { HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(request)));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
