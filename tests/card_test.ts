import { hubMetadata } from "@lopper/card/testing";
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { parse } from "yaml";
import { inTemporaryFolder } from "./support/cli.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/** The card of a result, and what the record beside it says. */
async function resultOf(folder: string) {
  const card = await Deno.readTextFile(join(folder, "README.md"));
  const [, yaml, text] = /^---\n([\s\S]*?\n)---\n([\s\S]*)$/.exec(card)!;
  const record = JSON.parse(await Deno.readTextFile(join(folder, "run.json")));
  return { metadata: hubMetadata.parse(parse(yaml)), text, record };
}

Deno.test("card: the embedded model's run ends with one that says what its record says", () =>
  inTemporaryFolder(async (folder) => {
    const out = join(folder, "p");
    const quick = ["--preset", "blockpruner", "--samples", "2", "--seq-len", "64"];
    await pruneHere(["--ratio", "1", ...quick, "--out", out]);
    const { metadata, text, record } = await resultOf(out);
    assert.ok(record.files.includes("README.md"));
    assert.deepEqual(metadata, {
      library_name: "transformers",
      pipeline_tag: "text-generation",
      tags: ["lopper", "pruned", "custom_code"],
    });
    const lines = text.split("\n");
    assert.match(lines[1], /^# lopper-demo, pruned by \d\.\d+ %$/);
    assert.deepEqual(lines.filter((line) => line.startsWith("## ")), [
      "## What was removed",
      "## How it was made",
      "## How to use it",
      "## Make it again",
      "## Licence",
    ]);
    const { heldOut, calibration } = record.perplexity;
    for (const [what, { dense, pruned }] of Object.entries({ heldOut, calibration })) {
      assert.ok(text.includes(`| ${dense.toFixed(2)} | ${pruned.toFixed(2)} |`), what);
    }
    for (const digest of [record.modelDigest, record.prunedDigest, record.heldOutDigest]) {
      assert.ok(text.includes(digest.replace("sha256:", "")));
    }
    const drawn = lines.filter((line) => /^ *\d+ {2}[█░]/.test(line));
    assert.equal(drawn.length, record.layers.dense.length);
    assert.match(text, /Calibration: public-domain books .*; held out: the first chapters of Moby/);
    assert.match(text, /^lopper prune --ratio 1 /m);
    assert.doesNotMatch(text, /fitted to the hidden states|undefined|null|NaN|generated token/);
  }));

Deno.test("card: what the source's says of licence and language is carried on, through a second run, too", () =>
  inTemporaryFolder(async (folder) => {
    const [model, ...args] = await writeTinyRun(folder);
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const cached = join(folder, "models--some--model", "snapshots", commit);
    await Deno.mkdir(join(cached, ".."), { recursive: true });
    await Deno.rename(model, cached);
    const yaml = "license: other\nlicense_name: some-terms\nlicense_link: LICENSE\nlanguage: no";
    await Deno.writeTextFile(join(cached, "README.md"), `---\n${yaml}\n---\n# Some | model\n`);
    await Deno.writeTextFile(join(cached, "LICENSE"), "terms");

    const expected = {
      license: "other",
      license_name: "some-terms",
      license_link: "LICENSE",
      language: ["no"],
      base_model: "some/model",
      base_model_relation: "finetune",
    };
    const carried = async (out: string) => {
      const { metadata, text } = await resultOf(out);
      const { library_name: _, pipeline_tag: __, tags: ___, ...rest } = metadata;
      assert.match(text, /`LICENSE` came along/);
      return rest;
    };
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    await pruneHere([cached, ...args, "--ratio", "10", "--out", first]);
    assert.deepEqual(await carried(first), expected);
    const { text } = await resultOf(first);
    assert.match(text, /\[some\/model\]\(https:\/\/huggingface\.co\/some\/model\)/);
    assert.ok(
      !text.includes(folder) && text.includes(basename(args[1])),
      "no folder of the user's",
    );
    // what it was made of is still the same model
    await pruneHere([first, ...args, "--ratio", "10", "--out", second]);
    assert.deepEqual(await carried(second), expected);
  }));

Deno.test("card: a plan that is applied is no search, and layers alike need no code", () =>
  inTemporaryFolder(async (folder) => {
    const args = await writeTinyRun(folder);
    const [found, applied] = [join(folder, "found"), join(folder, "applied")];
    await pruneHere([...args, "--ratio", "25", "--uniform", "--out", found]);
    await pruneHere([...args, "--plan", join(found, "lopper_plan.json"), "--out", applied]);
    for (
      const [out, said] of [[found, /All layers were kept alike/], [
        applied,
        /A plan that/,
      ]] as const
    ) {
      const { metadata, text } = await resultOf(out);
      assert.deepEqual(metadata.tags, ["lopper", "pruned"]);
      assert.match(text, said);
      assert.match(text, /a plain model of the type llama/);
      assert.doesNotMatch(text, /trust_remote_code/);
    }
  }));
