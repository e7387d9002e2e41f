/** The same code in Node: bundled, it reads, decides, writes and stops there as in Deno. */
import { DEMO_MODEL } from "@lopper/demo-model";
import { FolderLock } from "@lopper/files";
import { cutAfter, mockHub } from "@lopper/files/testing";
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PUBLISHED } from "../support/cli.ts";
import { bundleForNode, nodeCommand, output } from "../support/node.ts";

/** Runs a program of this folder in Deno, and hands over how it is run in Node. */
async function inBoth(
  program: string,
  body: (deno: readonly string[], node: readonly string[], folder: string) => Promise<void>,
) {
  const node = await nodeCommand(program);
  if (node === null) return;
  const folder = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    const source = new URL(program, import.meta.url);
    const bundle = await bundleForNode(source, folder);
    const deno = [Deno.execPath(), "run", "--quiet", "--allow-all", fileURLToPath(source)];
    await body(deno, [...node, bundle], folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Node: a model is pruned to the same bytes as in Deno", () =>
  inBoth("prune_anywhere.ts", async (deno, node, folder) => {
    const results = [join(folder, "by-deno"), join(folder, "by-node")];
    await output([...deno, results[0]]);
    await output([...node, results[1]]);
    const names = results.map((at) => [...Deno.readDirSync(at)].map(({ name }) => name).sort());
    assert.deepEqual(names[0], names[1]);
    assert.ok(names[0].includes("model.safetensors") && names[0].includes("perplexity.json"));
    for (const name of names[0]) {
      const [one, other] = results.map((at) => Deno.readFileSync(join(at, name)));
      assert.deepEqual(one, other, name);
    }
  }));

Deno.test("Node: the command line prunes, stops, goes on, compares and exports as in Deno", () =>
  inBoth("../../apps/cli/main.ts", async (deno, node, folder) => {
    const at = (name: string) => join(folder, name);
    const prune = ["prune", ...PUBLISHED, "--threads", "1", "--out"];
    await output([...deno, ...prune, at("by-deno")]);
    await interrupted([...node, ...prune, at("by-node")], at("by-node"));
    await output([...node, "prune", "--resume", "--out", at("by-node")]);
    for (const name of ["model.safetensors", "lopper_plan.json", "config.json"]) {
      const [one, other] = ["by-deno", "by-node"].map((run) =>
        Deno.readFileSync(at(`${run}/${name}`))
      );
      assert.deepEqual(one, other, name);
    }
    const said = await output([...node, "generate", at("by-node"), "The sea", ...GREEDY]);
    assert.equal(said, await output([...deno, "generate", at("by-deno"), "The sea", ...GREEDY]));
    // Each model runs in a process of its own.
    const compared = [
      "compare",
      "demo",
      at("by-node"),
      "--json",
      "--perplexity",
      HELD_OUT,
      "--seq-len",
      "64",
    ];
    assert.match(await output([...node, ...compared]), /"peakResidentBytes":\d+/);
    const exported = ["export", at("by-node"), "--to", "gguf", "--out", at("gguf")];
    assert.match(await output([...node, ...exported]), /by reopening|written to/);
  }));

const HELD_OUT = fileURLToPath(new URL("../fixtures/held_out.txt", import.meta.url));
const GREEDY = ["--temperature", "0", "--max-tokens", "8", "--threads", "1"];

/** Starts a run and stops it as Ctrl-C does once its journal has some steps. */
async function interrupted([command, ...args]: readonly string[], run: string) {
  const journal = join(run, "journal.jsonl");
  const process = new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).spawn();
  const said = new Response(process.stderr).text();
  const steps = async () =>
    (await Deno.readTextFile(journal).catch(() => "")).split("\n").length > 4;
  while (!await steps()) await new Promise((resolve) => setTimeout(resolve, 50));
  const busy = await FolderLock.check(run).catch((error) => error.message);
  Deno.kill(Number(/\(process (\d+)/.exec(busy)![1]), "SIGTERM");
  assert.match(await said, /nothing is lost, continue with: .*--resume/);
  assert.equal((await process.status).code, 130);
}

/** A folder with one of each kind. */
async function makeFolder(folder: string) {
  await Deno.mkdir(join(folder, "folder/inner"), { recursive: true });
  await Deno.writeTextFile(join(folder, "folder/inner/x.txt"), "");
  await Deno.writeTextFile(join(folder, "text"), "\ufeffgrün");
  await Deno.writeTextFile(join(folder, "large"), "");
  await Deno.truncate(join(folder, "large"), 6e9);
  await Deno.writeFile(join(folder, "bytes"), new Uint8Array([0xff, 0xfe, 0]));
  await Deno.symlink("text", join(folder, "link"));
  await Deno.symlink("nothing", join(folder, "dangling"));
  await Deno.symlink("circle", join(folder, "circle"));
  await Deno.symlink("/dev/zero", join(folder, "device"));
  await output(["mkfifo", join(folder, "pipe")]);
}

Deno.test("Node: files are read, written, refused and locked as in Deno", () =>
  inBoth("files_anywhere.ts", async (deno, node, folder) => {
    const said: string[] = [];
    for (const [i, command] of [deno, node].entries()) {
      const place = join(folder, String(i));
      await makeFolder(place);
      const lock = await FolderLock.take(join(place, "locked"));
      said.push((await output([...command, place])).replace(/, since [\w:.-]+\)/, ")"));
      await lock.release();
    }
    assert.deepEqual(said[1].split("\n"), said[0].split("\n"));
    assert.match(said[1], /^read pipe: LopperError: FOLDER\/pipe: this is a pipe; /m);
    assert.match(said[1], /^a lock that another has: FolderBusyError: .*\(process \d+/m);
  }));

Deno.test("Node: a lock that it holds is one in Deno, and free when it was killed", () =>
  inBoth("files_anywhere.ts", async (_deno, node, folder) => {
    const place = join(folder, "place");
    const [command, ...args] = [...node, place, "hold"];
    const holder = new Deno.Command(command, { args, stdout: "piped" }).spawn();
    const reader = holder.stdout.getReader();
    const { value } = await reader.read();
    const [, pid] = /^held by (\d+)/.exec(new TextDecoder().decode(value))!;
    await assert.rejects(FolderLock.take(place), new RegExp(`\\(process ${pid} `));
    Deno.kill(Number(pid), "SIGKILL");
    await holder.status;
    await reader.cancel();
    await (await FolderLock.take(place)).release();
  }));

Deno.test("Node: a model comes from the hub, by a connection that breaks, and a result goes there", () =>
  inBoth("../../apps/cli/main.ts", async (_deno, node, folder) => {
    const model = fileURLToPath(DEMO_MODEL);
    const names = [...Deno.readDirSync(model)].map(({ name }) => name);
    const main = Object.fromEntries(
      names.map((name) => [name, Deno.readFileSync(join(model, name))]),
    );
    await using hub = mockHub({ models: { "org/m": { branches: { main } } }, writer: "hf_me" });
    hub.misbehave(({ path, times, behave }) => {
      const isCut = path.endsWith("safetensors") && path.startsWith("/models/") && times === 1;
      return isCut ? behave().then((response) => cutAfter(response, 1_000_000)) : null;
    });
    const variables = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hf"), HF_TOKEN: "hf_me" };
    const env = ["env", ...Object.entries(variables).map((pair) => pair.join("="))];
    const inspected = await output([...env, ...node, "inspect", "org/m", "--digest", "--json"]);
    const { digest } = JSON.parse(inspected);
    assert.equal(
      digest,
      JSON.parse(await output([...node, "inspect", "--digest", "--json"])).digest,
    );
    const out = join(folder, "p");
    await output([...node, "prune", ...PUBLISHED, "--ratio", "5", "--threads", "1", "--out", out]);
    await output([...env, ...node, "push", out, "me/small"]);
    const pushed = hub.repositories.get("models/me/small")!.files("main")!;
    const weights = "model.safetensors";
    assert.deepEqual(pushed[weights], await Deno.readFile(join(out, weights)));
  }));
