/** Prints what is left of the permissions when a command begins. Usage: deno run -A kept_permissions.ts COMMAND */
import { keepOnly, PERMISSIONS } from "../permissions.ts";

await keepOnly(PERMISSIONS[Deno.args[0]]);
const names = ["read", "write", "ffi", "net", "run"] as const;
const states = names.map((name) => [name, Deno.permissions.querySync({ name }).state]);
console.log(JSON.stringify(Object.fromEntries(states)));
