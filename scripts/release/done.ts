import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";

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
  const said = stripVTControlCharacters(new TextDecoder().decode(stderr));
  // Where in Deno it was helps nobody here.
  const reason = said.replace(/\nStack backtrace:[\s\S]*/, "").trim();
  throw new Error(`${basename(program)} ${args[0]} failed: ${reason}`);
}
