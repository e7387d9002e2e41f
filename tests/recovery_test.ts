import type { Backend } from "@lopper/backends";
import { openTinyEngine } from "@lopper/backends/testing";
import {
  type Block,
  denseShape,
  isExpertOutput,
  isFloatDType,
  keptFirst,
  keptOf,
  outputProjection,
  type PrunePlan,
  type Shape,
  sourceRanking,
} from "@lopper/core";
import { MemoryFolder, MemorySink } from "@lopper/formats";
import { type CalibrationSet, CRITERIA, type Criterion, SuffixScorer } from "@lopper/importance";
import {
  type Model,
  openModel,
  type Refit,
  weightsOfBlock,
  writePrunedModel,
} from "@lopper/models";
import { type RecoveryResult, refitAll, refitOf, type RefitWay } from "@lopper/recovery";
import { ScratchFile } from "@lopper/files";
import { Decoder, LaidOutWeights, type LoadOptions, Workspace } from "@lopper/runtime";
import { type RecoveryLine } from "@lopper/search";
import { inverse, Matrix } from "ml-matrix";
import assert from "node:assert/strict";
import { ownText } from "./support/own_text.ts";
import { planOfShape } from "./support/plan_of_shape.ts";
import { recoded } from "./support/recoded.ts";
import {
  LIKE_LLAMA,
  Random,
  randomRanking,
  randomShape,
  tinyModel,
} from "./support/tiny_models.ts";

const LENGTH = 10;
/** Models of which some are pruned, by what they are: which families, and how many. */
const KINDS = {
  "tiny models": { families: LIKE_LLAMA, seeds: 14, kept: 3 },
  "tiny mixtures": {
    families: ["gpt_oss", "granitemoe", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"],
    seeds: 6,
    kept: 2,
  },
} as const;
const WAYS: readonly RefitWay[] = ["local", "auto", "both"];

interface Case {
  readonly backend: Backend;
  readonly model: Model;
  readonly plan: PrunePlan;
  readonly shape: Shape;
  readonly texts: Record<"calibration" | "validation" | "test", CalibrationSet>;
  readonly criterion: Criterion;
  readonly way: RefitWay;
}

async function refitted(
  { backend, model, plan, shape, texts, criterion, way }: Case,
  recorded: readonly RecoveryLine[],
  room: LoadOptions = {},
) {
  const ranking = keptFirst(
    keptOf(model.architecture, plan),
    sourceRanking(model.architecture.blocks),
  );
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, { ranking, ...room }));
  const lines: RecoveryLine[] = [];
  const dtypeOf = (block: Block) => {
    const written = block.weights.find(isExpertOutput) ?? outputProjection(block);
    const { dtype } = weightsOfBlock(model, block).get(written.name)!;
    assert.ok(isFloatDType(dtype));
    return dtype;
  };
  const events = refitAll(
    { decoder, shape, dtypeOf },
    { ...texts, batchTokens: 8 * LENGTH },
    { way, steps: 1, criterion, recorded, measure: () => ({ blockTokens: 0, seconds: 0 }) },
  );
  let event = await events.next();
  for (; !event.done; event = await events.next()) lines.push(event.value.line);
  const result: RecoveryResult = event.value;
  const refit = refitOf(decoder, shape, result.refitted);
  const files = await written(model, plan, refit);
  await decoder.dispose();
  return { lines, result, files };
}

async function written(model: Model, plan: PrunePlan, refit?: Refit) {
  const files: Record<string, MemorySink> = {};
  const open = (file: string) => Promise.resolve(files[file] = new MemorySink());
  await writePrunedModel(model, plan, open, { refit });
  return Object.fromEntries(Object.entries(files).map(([name, { bytes }]) => [name, bytes]));
}

/** Mean NLL of each sequence under a model as it was written. */
async function lossOfFiles(
  backend: Backend,
  files: Record<string, Uint8Array>,
  text: CalibrationSet,
) {
  const model = await openModel(new MemoryFolder("written", files));
  const decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const { sequenceNll } = await new SuffixScorer(decoder, text, { cacheBytes: 0 })
    .evaluate(denseShape(decoder.blocks));
  await decoder.dispose();
  return sequenceNll;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const onRandom = (what: keyof typeof KINDS) => ({
  name:
    `recovery: on random ${what}, text that chose nothing never loses by a refit, and a resumed one is the same`,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { families, seeds, kept: least } = KINDS[what];
    const mixtures = { tried: 0, kept: 0 };
    const folder = await Deno.makeTempDir();
    const backend = await openTinyEngine("cpu");
    let judgedOtherwise = 0;
    const verdicts = { kept: 0, against: 0, none: 0 };
    for (let seed = 1; seed <= seeds; seed++) {
      const random = new Random(seed);
      const tiny = await openModel(await tinyModel(random, { families }));
      const model = seed % 4 < 2 ? tiny : await recoded(tiny, () => "BF16");
      const shape = randomShape(model.architecture, random);
      const plan = planOfShape(
        model.architecture,
        shape,
        randomRanking(model.architecture, random),
      );
      const whole = new Decoder(backend, await LaidOutWeights.load(model));
      const texts = {
        calibration: await ownText(whole, 24, LENGTH, random),
        validation: await ownText(whole, 8, LENGTH, random),
        test: await ownText(whole, 8, LENGTH, random),
      };
      await whole.dispose();
      const [criterion, other] = seed % 2 === 0 ? CRITERIA.toReversed() : CRITERIA;
      const way = WAYS[seed % WAYS.length];
      const run = { backend, model, plan, shape, texts, criterion, way };
      const { lines, result, files } = await refitted(run, []);
      const plain = await lossOfFiles(backend, await written(model, plan), texts.test);
      const found = await lossOfFiles(backend, files, texts.test);
      assert.ok(mean(found) <= mean(plain), `seed ${seed}: ${mean(found)} over ${mean(plain)}`);
      for (const { kept, before, after } of lines) {
        assert.equal(kept, mean(after) < mean(before), `seed ${seed}`);
      }
      const scaled = lines.filter((line) => line.type === "refit" && line.kind === "experts");
      mixtures.tried += scaled.length;
      mixtures.kept += scaled.filter(({ kept }) => kept).length;
      const { tests } = result;
      const test = tests.findLast(({ kept }) => kept);
      verdicts[tests.length === 0 ? "none" : test ? "kept" : "against"] += 1;
      tests[0]?.before.forEach((nll, i) =>
        assert.ok(Math.abs(nll - plain[i]) < 1e-4, "the test is by the text, whatever else")
      );
      test?.after.forEach((nll, i) =>
        assert.ok(Math.abs(nll - found[i]) < 1e-4, "what was judged is what was written")
      );
      if (lines.length > 0 && seed <= 4) {
        const otherwise = await refitted({ ...run, criterion: other }, []);
        assert.notDeepEqual(otherwise.lines[0].before, lines[0].before, "judged by something else");
        judgedOtherwise += 1;
      }
      const cut = lines.slice(0, random.int(0, lines.length));
      // With no room for anything that may be expanded for every use, or stay in the file.
      const none = { expandedBytes: 0, blockBytes: 0, expertBytes: 0 };
      await using workspace = new Workspace(0, () => ScratchFile.open(folder));
      const again = await refitted(run, cut, { ...none, workspace });
      assert.deepEqual(again.lines, lines, `seed ${seed}`);
      assert.deepEqual(again.files, files, `seed ${seed}`);
      assert.ok(workspace.fileBytes > 0 || result.tried === 0, `seed ${seed}`);
      assert.equal(workspace.inMemory, 0);
      model[Symbol.dispose]();
    }
    await backend[Symbol.asyncDispose]();
    assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing is left of what found no room");
    await Deno.remove(folder);
    assert.ok(judgedOtherwise > 0);
    assert.ok(verdicts.kept >= least && verdicts.kept < seeds, JSON.stringify(verdicts));
    if (what === "tiny mixtures") {
      assert.ok(mixtures.kept > 0 && mixtures.tried > mixtures.kept, JSON.stringify(mixtures));
    }
  },
});
Deno.test(onRandom("tiny models"));
Deno.test(onRandom("tiny mixtures"));

Deno.test({
  name: "recovery: a refit is the ridge regression toward the weights that are there",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const backend = await openTinyEngine("cpu");
    let compared = 0;
    for (let seed = 1; compared < 3; seed++) {
      const random = new Random(seed);
      const model = await openModel(await tinyModel(random, { families: LIKE_LLAMA }));
      const { architecture } = model;
      const whole = denseShape(architecture.blocks);
      const last = architecture.layerCount - 1;
      const width = (whole.at(-1)?.channels ?? 0) - 2;
      if (!(width >= 1) || architecture.blocks.at(-1)!.layer !== last) continue;
      const shape = whole.with(-1, { channels: width });
      const plan = planOfShape(architecture, shape);
      const decoder = new Decoder(backend, await LaidOutWeights.load(model));
      const texts = {
        calibration: await ownText(decoder, 12, LENGTH, random),
        validation: await ownText(decoder, 6, LENGTH, random),
        test: await ownText(decoder, 6, LENGTH, random),
      };
      const block = whole.length - 1;
      let hidden = await decoder.embed(texts.calibration.sequences);
      for (let b = 0; b < block; b++) hidden = await decoder.runBlock(b, whole, hidden);
      const target = await decoder.runBlock(block, whole, hidden);
      const { captured, hidden: output } = await decoder.captureBlock(
        block,
        shape,
        hidden,
        "values",
      );
      const rows = (data: Float32Array, columns: number) =>
        Matrix.from1DArray(data.length / columns, columns, Array.from(data));
      const x = rows(captured, width);
      const missing = Matrix.sub(
        rows(target.data, architecture.hiddenSize),
        rows(output.data, architecture.hiddenSize),
      );
      const gram = x.transpose().mmul(x);
      const { lines, result, files } = await refitted(
        { ...{ backend, model, plan, shape, texts }, criterion: CRITERIA[0], way: "auto" },
        [],
      );
      const [line] = lines;
      if (line?.type !== "refit" || result.refitted.length !== 1) continue;
      compared += 1;
      const ridge = Matrix.eye(width).mul(line.lambda * gram.trace() / width);
      const change = inverse(Matrix.add(gram, ridge)).mmul(x.transpose().mmul(missing));
      const down = weightsOfBlock(model, { layer: last, kind: "mlp" }).get("down")!;
      const dense = rows(await model.store.readFloat32(down.name), width + 2);
      const reopened = await openModel(new MemoryFolder("written", files));
      const found = rows(await reopened.store.readFloat32(down.name), width);
      const size = change.max();
      for (let r = 0; r < architecture.hiddenSize; r++) {
        for (let c = 0; c < width; c++) {
          const wanted = dense.get(r, c) + change.get(c, r);
          assert.ok(Math.abs(found.get(r, c) - wanted) < 1e-3 * (size + 0.01), `seed ${seed}`);
        }
      }
      await decoder.dispose();
      model[Symbol.dispose]();
    }
    await backend[Symbol.asyncDispose]();
  },
});
