/** What a program prints that ends well. @throws with what it says when it does not. */
export async function done(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const command = new Deno.Command(program, { args: [...args], cwd, env, stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  if (success) return new TextDecoder().decode(stdout);
  const words = [program, ...args].join(" ");
  throw new Error(`${words} failed: ${new TextDecoder().decode(stderr).trim()}`);
}
