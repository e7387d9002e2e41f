import { seal, unseal } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { EXPERTS, LAYERS, TOP_K, writeMixture } from "./support/tiny_mixture.ts";

const DEMO = fileURLToPath(new URL("../packages/demo-model/data/model", import.meta.url));
const QUICK = ["--samples", "3", "--width-samples", "3", "--seq-len", "48", "--threads", "1"];

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test({
    name: `experts: ${name}`,
    // The engine keeps its threads for the life of the process.
    ...{ sanitizeOps: false, sanitizeResources: false },
    fn: () => inTemporaryFolder(body),
  });

/** Text with which a run is quick: a few samples, and a page that chose nothing. */
async function texts(folder: string): Promise<readonly string[]> {
  const lines = (await Deno.readTextFile(`${DEMO}/../calibration.jsonl`)).split("\n").slice(0, 60);
  await Deno.writeTextFile(`${folder}/c.jsonl`, lines.join("\n"));
  const heldOut = await Deno.readTextFile(`${DEMO}/../held_out.txt`);
  await Deno.writeTextFile(`${folder}/h.txt`, heldOut.slice(0, 2000));
  return ["--calibration", `${folder}/c.jsonl`, "--held-out", `${folder}/h.txt`];
}

const readJson = async (path: string) => JSON.parse(await Deno.readTextFile(path));

test("the preset takes experts alone, as many in every layer, and what is written is plain", async (folder) => {
  const model = await writeMixture(`${folder}/m`);
  const args = ["prune", model, ...await texts(folder), ...QUICK, "--ratio", "6"];
  const told = await doneHere([...args, "--preset", "experts", "--out", `${folder}/p`]);
  assert.match(told, /experts by msan/);
  const record = await readJson(`${folder}/p/run.json`);
  const { attention, mlp: { experts } } = record.layers.pruned[0];
  assert.deepEqual(attention, record.layers.dense[0].attention, "attention stays");
  assert.ok(experts >= TOP_K && experts < EXPERTS, `${experts} experts are left`);
  assert.deepEqual(record.layers.pruned[0], record.layers.pruned[1]);
  assert.deepEqual(record.rankings.map(({ ranking }: { ranking: string }) => ranking), ["msan"]);
  const config = await readJson(`${folder}/p/config.json`);
  assert.equal(config.model_type, "qwen3_moe");
  assert.equal(config.num_experts, experts);
  assert.equal(config.num_experts_per_tok, TOP_K);
  assert.ok(!("per_layer_config" in config) && !("auto_map" in config));
  using pruned = await openModel(new FileFolder(`${folder}/p`));
  assert.ok(pruned.store.tensors.get("model.layers.0.mlp.gate.weight")!.shape[0] === experts);

  const page = await Deno.readTextFile(`${folder}/p/README.md`);
  assert.match(page, new RegExp(`${LAYERS * (EXPERTS - experts)} experts in 2 layers`));
  assert.match(await Deno.readTextFile(`${folder}/p/report.html`), /experts/);

  const reap = [...args, "--preset", "experts", "--ranking", "reap", "--out", `${folder}/q`];
  await doneHere(reap);
  const { rankings } = await readJson(`${folder}/q/run.json`);
  assert.deepEqual(rankings.map(({ ranking }: { ranking: string }) => ranking), ["reap"]);
});

test("those that stay are scaled where that helps, in every bit as the journal says", async (folder) => {
  const source = await writeMixture(`${folder}/m`);
  const args = ["prune", source, ...await texts(folder), ...QUICK, "--samples", "12"];
  const recovered = [...args, "--width-samples", "6", "--recover", "auto", "--ratio", "8"];
  await doneHere([...recovered, "--preset", "experts", "--out", `${folder}/p`]);
  const { recovery } = await readJson(`${folder}/p/run.json`);
  const journal = (await Deno.readTextFile(`${folder}/p/journal.jsonl`)).trim().split("\n");
  const scaled = journal.map((line) => JSON.parse(line))
    .filter(({ type, kind, kept }) => type === "refit" && kind === "experts" && kept)
    .map(({ layer }) => layer);
  assert.ok(recovery.kept >= scaled.length && scaled.length > 0, JSON.stringify(recovery));
  const { layers } = await readJson(`${folder}/p/lopper_plan.json`);
  using dense = await openModel(new FileFolder(source));
  using pruned = await openModel(new FileFolder(`${folder}/p`));
  for (let layer = 0; layer < LAYERS; layer++) {
    const kept: readonly number[] = layers[layer].experts.experts;
    const values = ({ store }: Model, projection: string) =>
      store.readFloat32(`model.layers.${layer}.mlp.experts.${projection}_proj.weight`);
    for (const projection of ["gate", "up", "down"]) {
      const [was, is] = [await values(dense, projection), await values(pruned, projection)];
      const size = was.length / EXPERTS;
      for (const [place, expert] of kept.entries()) {
        const before = was.subarray(expert * size, (expert + 1) * size);
        const after = is.subarray(place * size, (place + 1) * size);
        const scale = after[0] / before[0];
        const changes = projection === "down" && scaled.includes(layer);
        assert.equal(scale !== 1, changes, `${projection} of layer ${layer}: ${scale}`);
        after.forEach((value, i) => assert.ok(Math.abs(value - scale * before[i]) < 1e-6));
      }
    }
  }
});

test("each layer by itself where that is asked for, against blocks and heads; inspect says what there is", async (folder) => {
  const model = await writeMixture(`${folder}/m`);
  const told = await doneHere(["inspect", model]);
  assert.match(told, /experts +\d[\d.,]* ?[MK]? /);
  assert.match(
    told,
    /experts +of 2 layers, 1 of each at a time, at least 2 of each stay; or 6 channels of each expert/,
  );
  assert.match(told, /8, each of 12/);
  assert.match(told, /on cuda and webgpu, weights do not stay on the device, .* beside it\n/);
  assert.doesNotMatch(await doneHere(["inspect"]), /on cuda/);
  const args = ["prune", model, ...await texts(folder), ...QUICK, "--ratio", "8"];
  await doneHere([...args, "--experts-by-layer", "--recover", "none", "--out", `${folder}/p`]);
  const record = await readJson(`${folder}/p/run.json`);
  assert.ok(record.ratio >= 8);
  const kinds = record.rankings.map(({ dimension }: { dimension: string }) => dimension);
  assert.deepEqual(kinds, ["experts", "kvGroups", "channels"]);
});

test("a dry run says what of a mixture can go, and nothing that has no share", async (folder) => {
  const model = await writeMixture(`${folder}/m`);
  const args = ["prune", model, ...await texts(folder), ...QUICK, "--ratio", "6", "--dry-run"];
  const told = await doneHere(args);
  assert.match(told, /^ {2}blocks, experts, their channels and heads up to 6\.00 % of the param/m);
  assert.match(
    told,
    /^ {2}groups of 1 expert, 6 channels of each expert, head groups of 32 query/m,
  );
  const alone = await doneHere([...args, "--preset", "experts"]);
  assert.match(alone, /^ {2}experts up to 6\.00 %/m);
  assert.doesNotMatch(alone, /(blocks|heads) up to/);
});

test("channels of each expert go, its own ones, as many in every layer", async (folder) => {
  const model = await writeMixture(`${folder}/m`);
  const args = ["prune", model, ...await texts(folder), ...QUICK, "--ratio", "6"];
  const own = [...args, "--distribution", "0:0:0:1", "--mlp-group", "2", "--recover", "none"];
  const plans = [];
  for (const ranking of ["l1", "energy", "compensated"]) {
    const out = `${folder}/${ranking}`;
    await doneHere([...own, "--ranking", ranking, "--out", out]);
    const record = await readJson(`${out}/run.json`);
    const { mlp: { experts, intermediateSize } } = record.layers.pruned[0];
    assert.ok(experts === EXPERTS && intermediateSize < 12 && intermediateSize % 2 === 0);
    assert.deepEqual(record.layers.pruned[0], record.layers.pruned[1]);
    const config = await readJson(`${out}/config.json`);
    assert.equal(config.moe_intermediate_size, intermediateSize);
    assert.ok(!("per_layer_config" in config) && !("auto_map" in config));
    const { layers } = await readJson(`${out}/lopper_plan.json`);
    const channels: readonly number[] = layers[0].experts.channels;
    const kept = Array.from(
      { length: EXPERTS },
      (_, e) => channels.filter((u) => Math.floor(u / 12) === e).map((u) => u % 12).join(),
    );
    assert.ok(new Set(kept).size > EXPERTS / 2, "each expert has a ranking of its own");
    using pruned = await openModel(new FileFolder(out));
    const [{ shape }] = pruned.weights.flatMap(({ role, tensor }) =>
      "weight" in role && role.weight === "down" ? [tensor] : []
    );
    assert.deepEqual(shape, [EXPERTS, 24, intermediateSize]);
    const page = await Deno.readTextFile(`${out}/README.md`);
    assert.match(page, new RegExp(`${12 - intermediateSize} channels of each expert in 2 layers`));
    assert.match(await Deno.readTextFile(`${out}/report.html`), /channels of each expert/);
    plans.push(JSON.stringify(layers));
    const again = [...args, "--plan", `${out}/lopper_plan.json`, "--out", `${out}-again`];
    await doneHere(again.filter((word) => word !== "--ratio" && word !== "6"));
    const bytes = (path: string) => Deno.readFile(`${path}/model.safetensors`);
    assert.deepEqual(await bytes(`${out}-again`), await bytes(out));
  }
  assert.notEqual(plans[0], plans[1]);
  // Equations are for MLPs: an expert's channels go by their energy then.
  assert.equal(plans[1], plans[2]);
});

test("a model without them is told so", async (folder) => {
  const prune = ["prune", "demo", "--preset", "experts", "--out", `${folder}/p`, ...QUICK];
  await failsHere(prune, 2, /--preset experts is for mixtures of experts, and this model has none/);
});

test("a run that was begun before their channels could go keeps them, and goes on to the same end", async (folder) => {
  const model = await writeMixture(`${folder}/m`);
  const start = [
    "prune",
    model,
    ...await texts(folder),
    ...QUICK,
    "--ratio",
    "12",
    "--memory",
    "2GB",
  ];
  await doneHere([...start, "--recover", "none", "--out", `${folder}/now`]);
  const sizesOf = async (run: string) =>
    (await readJson(`${folder}/${run}/run.json`)).layers.pruned
      .map(({ mlp }: { mlp: { intermediateSize: number } | null }) => mlp?.intermediateSize);
  const [whole] = (await readJson(`${folder}/now/run.json`)).layers.dense;
  const channels = whole.mlp.intermediateSize;
  assert.ok((await sizesOf("now")).some((left: number) => left < channels), "channels go by now");

  // What such runs had: the same settings, which did not say that they may.
  const settings = await unseal(await readJson(`${folder}/now/settings.json`));
  const { narrowsExperts, ...flags } = settings!.value.flags as Record<string, unknown>;
  assert.equal(narrowsExperts, true);
  const sealed = JSON.stringify(await seal({ ...settings!.value, flags }));
  const resumed = async (run: string, journal: string) => {
    await Deno.mkdir(`${folder}/${run}`);
    await Deno.writeTextFile(`${folder}/${run}/settings.json`, sealed);
    await Deno.writeTextFile(`${folder}/${run}/journal.jsonl`, journal);
    const out = ["--resume", "--threads", "1", "--memory", "2GB", "--out", `${folder}/${run}`];
    return await doneHere(["prune", "--json", ...out]);
  };
  assert.match(await resumed("old", ""), /channels of experts stay: this run was begun before/);
  const left = await sizesOf("old");
  assert.ok(left.every((size: number | undefined) => size === undefined || size === channels));
  const lines = (await Deno.readTextFile(`${folder}/old/journal.jsonl`)).split("\n");
  await resumed("cut", lines.slice(0, Math.floor(lines.length / 2)).join("\n") + "\n");
  const bytes = (run: string) => Deno.readFile(`${folder}/${run}/model.safetensors`);
  assert.deepEqual(await bytes("cut"), await bytes("old"));
});
