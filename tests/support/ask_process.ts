/**
 * Gives a process a request in JSON on its standard input and returns the answer in JSON on its
 * standard output.
 * @throws {Error} with what it wrote to its standard error, when it fails.
 */
export async function askProcess(
  command: string,
  args: readonly string[],
  request: unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const process = new Deno.Command(command, {
    args: [...args],
    // Readers may load an onnxruntime of their own.
    env: { ORT_DISABLE_TELEMETRY: "1", ...env },
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
