/**
 * Prints what is left of the permissions when a command begins, and when its models are there.
 * Usage: deno run -A kept_permissions.ts COMMAND …
 */
import { heldPermissions } from "../../held_permissions.ts";
import { lopperProgram } from "../../program.ts";

const names = ["write", "ffi", "net", "run"] as const;
const left = () =>
  console.log(JSON.stringify(
    names.filter((name) => Deno.permissions.querySync({ name }).state === "granted"),
  ));

const held = heldPermissions();
const program = lopperProgram();
held.watch(program);
for (const command of program.commands) {
  command.action(async () => {
    left();
    await held.onModelsHere();
    left();
  });
}
await program.parseAsync([...Deno.args], { from: "user" });
