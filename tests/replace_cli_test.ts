import assert from "node:assert/strict";
import { seal } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { inTemporaryFolder, QUICK, startLopper } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";

const BRIEF = ["--preset", "blockpruner", ...QUICK] as const;
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

/** Bytes of the files in a folder, but for what passes. */
async function contents(path: string): Promise<Record<string, Uint8Array>> {
  const files = names(path).filter((name) => !name.startsWith(".lopper"));
  return Object.fromEntries(
    await Promise.all(files.map(async (name) => [name, await Deno.readFile(`${path}/${name}`)])),
  );
}

Deno.test("a run keeps its folder to itself, and the result that it replaces until its own is there", () =>
  inTemporaryFolder(async (folder) => {
    await doneHere(["prune", "--out", "p", "--ratio", "2", ...BRIEF], folder);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
    const own = ["journal.jsonl", "report.html", "run.json", "settings.json"];
    assert.deepEqual(names(`${folder}/p`), [...record.files, ...own].sort());
    // what the model of the next run does not have
    await Deno.writeTextFile(`${folder}/p/tokenizer.model`, "");
    const { checksum: _, ...rest } = record;
    const listed = await seal({ ...rest, files: [...record.files, "tokenizer.model"] });
    await Deno.writeTextFile(`${folder}/p/run.json`, JSON.stringify(listed));
    const old = await contents(`${folder}/p`);

    const args = ["prune", "--out", "p", "--ratio", "4", "--overwrite", ...BRIEF];
    const process = startLopper(args, folder);
    const end = process.output();
    const journal = `${folder}/p/.lopper-next/journal.jsonl`;
    while ((await Deno.readTextFile(journal).catch(() => "")) === "") {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // it holds still, and has not ended
    process.kill("SIGSTOP");
    await Deno.symlink("p", `${folder}/link`);
    await Deno.writeTextFile(`${folder}/sea.txt`, "The ship lay at anchor.");
    const busy = new RegExp(`is in use by another Lopper \\(process ${process.pid} on .*, since`);
    for (
      const other of [
        ["prune", "--out", "p", "--resume"],
        ["prune", "--out", "link", "--overwrite", "--dry-run"],
        ["report", "link"],
        ["evaluate", "p", "--perplexity", "sea.txt", "--out", "p"],
        ["export", "demo", "--to", "gguf", "--out", "p", "--overwrite"],
      ]
    ) await failsHere(other, 1, busy, folder);
    process.kill("SIGKILL");
    await end;

    assert.deepEqual(await contents(`${folder}/p`), old, "the old result is whole");
    await doneHere(["inspect", "p"], folder);
    await failsHere(
      ["prune", "--out", "p", ...BRIEF],
      2,
      /finished run, and one that replaces/,
      folder,
    );
    await doneHere(["prune", "--out", "p", "--resume"], folder);
    const { files: fresh, ratio } = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
    assert.ok(ratio >= 4);
    assert.deepEqual(names(`${folder}/p`), [...fresh, ...own].sort(), "nothing of the old one");
  }));

Deno.test("a model that changes while a run goes on leaves no result, and the run goes on with the old one", () =>
  inTemporaryFolder(async (folder) => {
    const model = `${folder}/m`;
    await Deno.mkdir(model);
    for await (const { name } of Deno.readDir(DEMO_MODEL)) {
      await Deno.copyFile(new URL(name, DEMO_MODEL), `${model}/${name}`);
    }
    const process = startLopper(["prune", "m", "--out", "p", "--ratio", "2", ...BRIEF], folder);
    const end = process.output();
    while ((await Deno.readTextFile(`${folder}/p/journal.jsonl`).catch(() => "")) === "") {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.kill("SIGSTOP");
    const weights = `${model}/model.safetensors`;
    const before = await Deno.readFile(weights);
    await Deno.writeFile(weights, before.with(before.length - 1, before.at(-1)! ^ 1));
    process.kill("SIGCONT");
    const { code, stderr } = await end;
    assert.equal(code, 1);
    const message =
      /m\/model\.safetensors was changed while the model was worked on, so there is no result/;
    assert.match(new TextDecoder().decode(stderr), message);
    assert.deepEqual(names(`${folder}/p`), ["journal.jsonl", "settings.json"]);
    const resume = ["prune", "--out", "p", "--resume"];
    await failsHere(resume, 1, /cannot be resumed: the model was/, folder);
    await Deno.writeFile(weights, before);
    await doneHere(resume, folder);
    assert.ok(names(`${folder}/p`).includes("run.json"));
  }));
