import { type MockHub, mockHub } from "@lopper/files/testing";
import assert from "node:assert/strict";
import { inTemporaryFolder, runLopper } from "./support/cli.ts";
import { doneHere, failsHere, runHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/**
 * Runs with a finished run in "p" and an export of it in "x", and a hub that "hf_me" may write to.
 */
function pushTest(name: string, body: (folder: string, hub: MockHub) => Promise<void>) {
  Deno.test(`push: ${name}`, () =>
    inTemporaryFolder(async (folder) => {
      const args = await writeTinyRun(folder);
      await pruneHere([...args, "--ratio", "10", "--out", `${folder}/p`]);
      await using hub = mockHub({ writer: "hf_me" });
      await body(folder, hub);
    }));
}

const envOf = (hub: MockHub, token = "hf_me") => ({
  HF_ENDPOINT: hub.endpoint,
  HF_TOKEN: token,
});

const lopper = (args: readonly string[], folder: string, hub: MockHub, token?: string) =>
  runHere(args, folder, envOf(hub, token));

const RECORDS = ["run.json", "settings.json", "journal.jsonl", "report.html"];

pushTest("what would be sent is said, and what is sent is the model", async (folder, hub) => {
  // Whoever makes a card of it has the last word.
  await Deno.writeTextFile(`${folder}/p/README.md`, "a card");
  await Deno.writeTextFile(`${folder}/p/notes.txt`, "my own");
  const dry = ["push", "p", "me/small", "--dry-run"];
  const said = await lopper(dry, folder, hub, "");
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /^\d+ files, [\d.]+ kB would go to me\/small, branch main:\n/);
  assert.deepEqual(hub.asked, []);
  const { stdout: lines } = await lopper([...dry, "--json"], folder, hub);
  const json = JSON.parse(lines.trimEnd().split("\n").at(-1)!);
  const listed = json.files.map(({ path }: { path: string }) => path);
  const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
  assert.deepEqual(listed.toSorted(), [...new Set(["README.md", ...record.files])].toSorted());

  // With no more permissions than its task has.
  const sent = await runLopper(["push", "p", "me/small", "--private"], folder, envOf(hub));
  assert.equal(sent.code, 0, sent.stderr);
  assert.match(sent.stderr, /^note: making the private repository me\/small on http\S+$/m);
  assert.match(sent.stdout, /^sent: \d+ files, .* at http\S+\/me\/small \(commit [0-9a-f]{40}\)$/m);
  const repository = hub.repositories.get("models/me/small")!;
  assert.equal(repository.visibility, "private");
  const { ".gitattributes": _, ...files } = repository.files("main")!;
  assert.deepEqual(Object.keys(files).sort(), listed.toSorted());
  for (const [path, bytes] of Object.entries(files)) {
    assert.deepEqual(bytes, await Deno.readFile(`${folder}/p/${path}`), path);
  }
  assert.match(repository.messages[0], /^model without 10(\.\d+)? % of its parameters, by Lopper /);

  const again = await lopper(["push", "p", "me/small"], folder, hub);
  assert.match(again.stdout, /^nothing was to be sent: /);
  // It opens as any model of the hub does.
  const { stdout } = await runHere(["inspect", "me/small", "--digest", "--json"], folder, {
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: `${folder}/hf`,
  });
  assert.equal(JSON.parse(stdout).digest, record.prunedDigest);
});

pushTest("records, a branch and a message when they are asked for", async (folder, hub) => {
  await Deno.remove(`${folder}/p/README.md`);
  const args = ["push", "p", "me/small", "--records", "--branch", "v1", "--message", "first"];
  const { code, stderr } = await lopper(args, folder, hub);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /^warning: there is no README\.md in \S+: the repository will have no card$/m,
  );
  assert.match(stderr, /^note: making the branch v1 on /m);
  const repository = hub.repositories.get("models/me/small")!;
  const names = Object.keys(repository.files("v1")!);
  for (const name of RECORDS) assert.ok(names.includes(name), name);
  assert.deepEqual(repository.messages, ["first"]);
});

pushTest("an export goes as it is", async (folder, hub) => {
  const exporting = ["--to", "onnx", "--verify", "none"];
  await doneHere(["export", `${folder}/p`, ...exporting, "--out", `${folder}/x`]);
  const { code, stderr } = await lopper(["push", "x", "me/onnx"], folder, hub);
  assert.equal(code, 0, stderr);
  const repository = hub.repositories.get("models/me/onnx")!;
  const { files } = JSON.parse(await Deno.readTextFile(`${folder}/x/export.json`));
  const sent = Object.keys(repository.files("main")!).sort();
  assert.deepEqual(sent, [".gitattributes", ...files].toSorted());
  assert.ok(sent.includes("onnx/model.onnx"));
  assert.match(repository.messages[0], /^p as onnx, by Lopper /);
  await Deno.writeTextFile(`${folder}/x/config.json`, "{}");
  await failsHere(["push", "x", "me/onnx"], 1, /its files have \d+ bytes and had \d+ when/, folder);
});

pushTest("what is no result, or not what its record says, is refused", async (folder, hub) => {
  const refused = async (
    args: readonly string[],
    code: number,
    message: RegExp,
    token?: string,
  ) => {
    const result = await lopper(["push", ...args], folder, hub, token);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, message);
  };
  await refused(
    ["model", "me/m"],
    1,
    /model holds no result of Lopper: neither run\.json nor export/,
  );
  await refused(["none", "me/m"], 1, /none: there is no such folder$/m);
  await assert.rejects(Deno.stat(`${folder}/none`), Deno.errors.NotFound);
  await refused(["p", "m"], 2, /"m" is no name of a repository; it needs to be owner\/name$/m);
  await refused(["p", "me/m@v1"], 2, /owner\/name, and --branch says the branch$/m);
  await refused(["p", "me/m"], 2, /HF_TOKEN needs to hold a token that may write/, "");
  await refused(["p", "me/m"], 1, /me\/m was to be written on .* may not write there$/m, "hf_you");
  const [weights, copy] = [`${folder}/p/model.safetensors`, `${folder}/copy`];
  await Deno.copyFile(weights, copy);
  const bytes = await Deno.readFile(weights);
  bytes[bytes.length - 1] ^= 1;
  await Deno.writeFile(weights, bytes);
  await refused(["p", "me/m"], 1, /holds another model than its run\.json says/);
  await Deno.copyFile(copy, weights);
  await Deno.remove(`${folder}/p/lopper_plan.json`);
  await refused(["p", "me/m"], 1, /lopper_plan\.json is not there, and the record of the result/);
  assert.deepEqual([...hub.repositories.keys()], []);
});
