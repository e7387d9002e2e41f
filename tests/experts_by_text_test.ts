import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { listOf, parseSamples } from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import { all, readPage, tableOf, textOf } from "@lopper/report/testing";
import { cutTexts, parseRunRecord, type RunRecord } from "@lopper/run";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere } from "./support/in_process.ts";
import { EXPERTS, HIDDEN_SIZE, LAYERS, TOP_K, writeMixture } from "./support/tiny_mixture.ts";

const CAPTION = "Routing to removed experts by text";
const SETTINGS = [
  ...["--samples", "12", "--width-samples", "6", "--seq-len", "32", "--threads", "1"],
  ...["--preset", "experts", "--ratio", "8"],
];

const lines = (words: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `${words} ${i}` })}\n`).join(
    "",
  );

const recordOf = async (folder: string) =>
  await parseRunRecord(await Deno.readTextFile(`${folder}/run.json`), "run.json");

/** Experts that each token goes to, by scores of plain loops: the highest. */
async function plainCounts(model: Model, sequences: readonly (readonly number[])[]) {
  await using backend = (await openBackend("cpu", { threads: 1 })).backend;
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const shape = denseShape(decoder.blocks);
  const counts = Array.from({ length: LAYERS }, () => new Array<number>(EXPERTS).fill(0));
  for (const ids of sequences) {
    let hidden = await decoder.embed([ids]);
    for (const [number, { layer, routing }] of decoder.blocks.entries()) {
      if (routing) {
        const x = await decoder.blockInput(number, hidden);
        const router = await model.store.readFloat32(`model.layers.${layer}.mlp.gate.weight`);
        for (let t = 0; t < ids.length; t++) {
          const scores = Array.from({ length: EXPERTS }, (_, e) => {
            let score = 0;
            for (let j = 0; j < HIDDEN_SIZE; j++) {
              score += x[t * HIDDEN_SIZE + j] * router[e * HIDDEN_SIZE + j];
            }
            return score;
          });
          const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
          for (const expert of best.slice(0, TOP_K)) counts[layer][expert] += 1;
        }
      }
      hidden = await decoder.runBlock(number, shape, hidden);
    }
  }
  return counts;
}

/** What the record should say of the layers, by counts. */
async function expectedLayers(
  folder: string,
  files: readonly string[],
  { flags }: RunRecord,
): Promise<NonNullable<RunRecord["routing"]>> {
  using model = await openModel(new FileFolder(`${folder}/m`));
  using tokenizer = await openTokenizer(model.folder);
  const samples = await Promise.all(
    files.map(async (file) => parseSamples(await Deno.readTextFile(`${folder}/${file}`), file)),
  );
  const sources = samples.map((list) => ({ samples: listOf(list), weight: 1 }));
  const heldOut = { name: "h", samples: listOf([samples[0].join(" ")]) };
  const given = { block: { name: "b", sources }, width: null, heldOut };
  const { apart } = await cutTexts(given, flags, model.architecture, tokenizer);
  assert.deepEqual(apart.map(({ name }) => name), ["text 1", "text 2", "text 3"]);
  const alone = { ...given, block: { name: "b", sources: sources.slice(0, 1) } };
  assert.deepEqual((await cutTexts(alone, flags, model.architecture, tokenizer)).apart, []);
  const sequences = apart.map(({ set }) => set?.sequences ?? []);
  assert.equal(apart[2].set, null, "too short for a sequence");
  for (const [i, word] of ["whale", "village"].entries()) {
    const text = await tokenizer.decode(sequences[i].flat());
    assert.deepEqual(["whale", "village"].filter((one) => text.includes(one)), [word]);
  }
  const counts = await Promise.all(sequences.map((of) => plainCounts(model, of)));
  const plan = JSON.parse(await Deno.readTextFile(`${folder}/p/lopper_plan.json`));
  return {
    texts: files.map((name, i) => ({ name, tokens: sequences[i].length * flags.seqLen })),
    layers: Array.from({ length: LAYERS }, (_, layer) => {
      const kept: readonly number[] = plan.layers[layer].experts.experts;
      assert.ok(kept.length < EXPERTS);
      const of = (text: number, expert: number) =>
        counts[text][layer][expert] / (TOP_K * sequences[text].length * flags.seqLen);
      const experts = Array.from({ length: EXPERTS }, (_, e) => e);
      return {
        layer,
        removed: [
          ...[0, 1].map((text) =>
            experts.filter((e) => !kept.includes(e)).reduce((sum, e) => sum + of(text, e), 0)
          ),
          null,
        ],
        most: experts.map((e) => {
          const [sea, land] = [of(0, e), of(1, e)];
          return sea === 0 && land === 0 ? null : sea >= land ? 0 : 1;
        }),
      };
    }),
  };
}

Deno.test({
  name:
    "experts by text: shares of several texts are those of a plain count, with workers too; of one there are none",
  // The engine keeps its threads for the life of the process.
  ...{ sanitizeOps: false, sanitizeResources: false },
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const model = await writeMixture(`${folder}/m`);
      const sea = "The whale swam away from the boat and the men rowed after it. ";
      const land = "She walked along the road to the village in the rain. ";
      await Deno.writeTextFile(`${folder}/sea.jsonl`, lines(sea.repeat(3), 40));
      await Deno.writeTextFile(`${folder}/land.jsonl`, lines(land.repeat(3), 40));
      await Deno.writeTextFile(`${folder}/h.txt`, (sea + land).repeat(9));
      const prune = (out: string, texts: readonly string[], ...more: readonly string[]) =>
        doneHere([
          ...["prune", model, "--out", `${folder}/${out}`, "--held-out", `${folder}/h.txt`],
          ...[...SETTINGS, ...more],
          ...texts.flatMap((text) => ["--calibration", `${folder}/${text}`]),
        ]);
      await Deno.writeTextFile(`${folder}/few.txt`, "A word.");
      const several = ["sea.jsonl", "land.jsonl", "few.txt"];
      await prune("p", several);
      const record = await recordOf(`${folder}/p`);
      const { routing } = record;
      const expected = await expectedLayers(folder, several, record);
      assert.ok(routing);
      const shares = ({ layers }: typeof expected) => layers.flatMap(({ removed }) => removed);
      shares(routing).forEach((share, i) =>
        assert.ok(Math.abs(Number(share) - Number(shares(expected)[i])) < 1e-12, `${share}`)
      );
      assert.ok(shares(routing).some((share) => share! > 0));
      const rest = ({ texts, layers }: typeof expected) => [texts, layers.map(({ most }) => most)];
      assert.deepEqual(rest(routing), rest(expected));

      const page = readPage(await Deno.readTextFile(`${folder}/p/report.html`));
      const [head, ...rows] = tableOf(page, CAPTION);
      assert.deepEqual(head, ["layer", ...several, "experts, by text"]);
      assert.deepEqual(
        rows.slice(0, -1).map((row) => row.slice(0, 4)),
        routing.layers.map(({ layer, removed }) => [
          String(layer),
          ...removed.map((share) => share === null ? "–" : `${(100 * share).toFixed(1)} %`),
        ]),
      );
      assert.ok(all(page, "h2").some((heading) => textOf(heading) === "Experts by text"));

      await prune("w", several, "--workers", "2");
      assert.deepEqual((await recordOf(`${folder}/w`)).routing, routing);

      await prune("one", ["sea.jsonl"]);
      assert.equal((await recordOf(`${folder}/one`)).routing, undefined);
      const alone = readPage(await Deno.readTextFile(`${folder}/one/report.html`));
      assert.throws(() => tableOf(alone, CAPTION));
    }),
});
