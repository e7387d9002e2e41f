import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ALL_PERMISSIONS, denoFlags, PERMISSIONS } from "../apps/cli/permissions.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
/** Commands that have a task of their own. */
const TASKS = Object.entries(PERMISSIONS).filter(([name]) => name !== "measure-speed");

Deno.test("permissions: each task of deno.json grants what its command needs", async () => {
  const { tasks } = JSON.parse(await read("deno.json"));
  const run = (flags: readonly string[]) => ["deno run", ...flags, "apps/cli/main.ts"].join(" ");
  assert.equal(tasks.lopper.command, run(denoFlags(ALL_PERMISSIONS)));
  for (const [name, needed] of TASKS) {
    assert.equal(tasks[name].command, `${run(denoFlags(needed))} ${name}`);
  }
});

Deno.test("permissions: the table in docs/permissions.md is that of the commands, and names all variables", async () => {
  const page = await read("docs/permissions.md");
  const [, table] = page.split("| task ");
  const cells = table.split("\n\n")[0].split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const yes = (granted?: true, orElse = "no") => granted ? "yes" : orElse;
  assert.deepEqual(
    cells,
    TASKS.map(([name, { write, ffi, net, hub, run, sys }]) => [
      `\`${name}\``,
      yes(write, hub && "a model of the hub"),
      yes(ffi),
      yes(net, hub && "a model of the hub"),
      yes(run),
      sys.map((what) => `\`${what}\``).join(", ") || "nothing",
    ]),
  );
  for (const name of ALL_PERMISSIONS.env) assert.ok(page.includes(`\`${name}\``), name);
});

Deno.test("permissions: every variable that the sources read is granted", async () => {
  const granted = new Set(ALL_PERMISSIONS.env);
  const found = new Set<string>();
  for await (const file of sources(fileURLToPath(ROOT))) {
    const text = await Deno.readTextFile(file);
    const reads =
      /\b(?:Deno\.env\.get\(|process\.env\.|\w*[vV]ariable\(|\bof\()"?([A-Z][A-Z0-9_]+)\b/g;
    for (const [, name] of text.matchAll(reads)) found.add(name);
  }
  assert.deepEqual([...found].filter((name) => !granted.has(name)), []);
  assert.deepEqual([...granted].filter((name) => !found.has(name)), [], "nothing for nobody");
});

Deno.test("permissions: a task asks for its help with no more than it has", async () => {
  const main = fileURLToPath(new URL("apps/cli/main.ts", ROOT));
  const args = ["run", ...denoFlags(PERMISSIONS.inspect), main, "inspect", "--help"];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.match(text, /^Usage: deno task inspect/);
});

Deno.test("permissions: what a command does not need is given back", async () => {
  const script = new URL("apps/cli/shared/testing/kept_permissions.ts", ROOT);
  /** What is left when a command begins, and when its models are there. */
  const states = async (...words: readonly string[]) => {
    const args = ["run", "--quiet", "--no-prompt", "--allow-all", fileURLToPath(script), ...words];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const text = new TextDecoder().decode(stdout) || new TextDecoder().decode(stderr);
    return text.trimEnd().split("\n").map((line) => JSON.parse(line));
  };
  const all = ["write", "ffi", "net", "run"];
  const begun = async (...words: readonly string[]) => (await states(...words))[0];
  assert.deepEqual(await begun("compare", "demo", "demo"), all);
  assert.deepEqual(await begun("inspect", "./m"), []);
  assert.deepEqual(await begun("prune", "packages/models"), ["write", "ffi"], "which is here");
  assert.deepEqual(await begun("generate", "demo", "org/m"), ["ffi"], "a prompt is no model");
  // For a model of the hub only, and until it is there.
  assert.deepEqual(await states("inspect", "org/m"), [["write", "net"], []]);
  assert.deepEqual(await states("generate", "org/m", "a"), [["write", "ffi", "net"], ["ffi"]]);
  assert.deepEqual(await states("prune", "--resume"), [["write", "ffi", "net"], ["write", "ffi"]]);
  assert.deepEqual(await begun("prune", "org/m", "--offline"), ["write", "ffi"]);
  assert.deepEqual(
    await states("evaluate", "./m", "org/m"),
    [["write", "ffi", "net"], ["write", "ffi"]],
    "data sets are read before models are opened",
  );
});

/** The program's own sources. */
async function* sources(root: string): AsyncGenerator<string> {
  for (const folder of ["apps", "packages"]) yield* under(`${root}${folder}`);
}

async function* under(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* name === "testing" ? [] : under(path);
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield path;
  }
}
