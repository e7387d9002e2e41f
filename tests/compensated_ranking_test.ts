import { openTinyEngine } from "@lopper/backends/testing";
import { CalibrationError, denseShape, headsOf, type Shape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import {
  type CalibrationSet,
  PUBLISHED_RANKING,
  rankByMoments,
  rankByWeights,
  RANKINGS,
} from "@lopper/importance";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { plainElimination } from "@lopper/algebra/testing";

const compensated = RANKINGS.find((rule) => rule.needs === "secondMoments")!;
const FIXTURES = fileURLToPath(new URL("fixtures/families", import.meta.url));
const LENGTH = 24;

function texts(vocabSize: number): CalibrationSet {
  const sequences = Array.from(
    { length: 12 },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (7 * s * s + 13 * i * i + s) % vocabSize),
  );
  return { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
}

async function withDecoder(
  family: string,
  backendName: "cpu" | "wasm",
  body: (decoder: Decoder) => Promise<void>,
) {
  const backend = await openTinyEngine(backendName);
  const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
  const decoder = new Decoder(
    backend,
    await LaidOutWeights.load(model, { ranking: await rankByWeights(model, PUBLISHED_RANKING) }),
  );
  try {
    await body(decoder);
  } finally {
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  }
}

/**
 * Places of a block's units, the most important first, and how many of the last of them no rounding
 * can change.
 */
async function reference(
  decoder: Decoder,
  shape: Shape,
  set: CalibrationSet,
  block: number,
) {
  let hidden = await decoder.embed(set.sequences);
  for (let b = 0; b < block; b++) hidden = await decoder.runBlock(b, shape, hidden);
  const { captured } = await decoder.captureBlock(block, shape, hidden, "values");
  const tokens = set.sequences.length * set.length;
  const rowsOf = (data: Float32Array, rows: number) =>
    Dense.from1DArray(rows, data.length / rows, Array.from(data));
  const activations = rowsOf(captured, tokens);
  const gram = activations.transpose().mmul(activations);
  const n = gram.rows;
  gram.add(Dense.eye(n).mul(0.01 * gram.trace() / n));
  const described = decoder.blocks[block];
  const { data } = await decoder.weights.output(block, shape[block]!);
  const heads = described.attention && headsOf(described);
  const width = heads ? heads.headDim * heads.queryHeads / heads.kvHeads : 1;
  const steps = plainElimination(gram, rowsOf(data, n), width);
  const tie = steps.findIndex(({ increase, next }) => next - increase < 1e-4 * increase);
  return { places: steps.map(({ unit }) => unit).toReversed(), sure: tie < 0 ? steps.length : tie };
}

function engineTest(name: string, fn: () => Promise<void>) {
  Deno.test({
    name: `compensated ranking: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

const RUNS = [
  ["llama-mha", "cpu"],
  ["llama-missing-blocks", "cpu"],
  ["qwen2-heterogeneous", "cpu"],
  ["qwen3", "cpu"],
  ["qwen2-untied-bf16", "cpu"],
  ["llama-mqa", "wasm"],
  ["mistral", "wasm"],
] as const;
for (const [family, backend] of RUNS) {
  engineTest(
    `${family} on ${backend}: units go as an elimination one by one takes them`,
    () =>
      withDecoder(family, backend, async (decoder) => {
        const set = texts(decoder.architecture.vocabSize);
        const before = decoder.weights.ranking;
        const shape = denseShape(decoder.blocks);
        for (const kind of ["channels", "kvGroups"] as const) {
          const done: number[] = [];
          const ranked = await rankByMoments(decoder, shape, kind, compensated, set, {
            batchTokens: 5 * LENGTH,
            onProgress: (now, all) => void done.push(now / all),
          });
          assert.ok(
            done.every((share, i) => share < 1 && share >= (done[i - 1] ?? 0)),
            String(done),
          );
          let sure = 0, all = 0;
          for (const [block, { id, dimensions }] of decoder.blocks.entries()) {
            const found = ranked[block];
            if (dimensions[0].name !== kind) {
              assert.equal(found, null);
              continue;
            }
            assert.ok(found);
            const units = before[block]![kind];
            const wanted = await reference(decoder, shape, set, block);
            assert.equal(new Set(found).size, units.length);
            assert.deepEqual(
              found.slice(units.length - wanted.sure),
              wanted.places.map((place) => units[place]).slice(units.length - wanted.sure),
              `${kind} of block ${id}`,
            );
            sure += wanted.sure;
            all += units.length;
          }
          assert.ok(sure > all / 4, `${sure} of ${all} ${kind} were compared`);
        }
      }),
  );
}

engineTest(
  "what is cut off stays behind, and what stays is ranked without it",
  () =>
    withDecoder("qwen2-heterogeneous", "cpu", async (decoder) => {
      const set = texts(decoder.architecture.vocabSize);
      const dense = denseShape(decoder.blocks);
      const block = dense.findIndex((size) => size!.channels > 8);
      const width = dense[block]!.channels - 5;
      const units = decoder.weights.ranking[block]!.channels;
      const shape = dense.with(block, { channels: width });
      const ranked = await rankByMoments(decoder, shape, "channels", compensated, set);
      const found = ranked[block]!;
      assert.deepEqual(found.slice(width), units.slice(width));
      const { places, sure } = await reference(decoder, shape, set, block);
      assert.ok(sure > 0);
      assert.deepEqual(
        found.slice(width - sure, width),
        places.map((place) => units[place]).slice(width - sure),
      );
    }),
);

engineTest(
  "nothing that enters a projection is no ranking, and what is not finite is refused by name",
  () =>
    withDecoder("llama-mha", "cpu", async (decoder) => {
      const set = texts(decoder.architecture.vocabSize);
      const shape = denseShape(decoder.blocks);
      const before = decoder.weights.ranking;
      /** A decoder in which a value enters every projection of one block. */
      const instead = (block: number, value: number) =>
        Object.create(decoder, {
          captureBlock: {
            value: async (b: number, ...rest: [Shape, never, "values"]) => {
              const run = await decoder.captureBlock(b, ...rest);
              return b === block ? { ...run, captured: run.captured.fill(value) } : run;
            },
          },
          runBlock: { value: decoder.runBlock.bind(decoder) },
          embed: { value: decoder.embed.bind(decoder) },
        }) as Decoder;
      for (const [kind, block] of [["kvGroups", 2], ["channels", 3]] as const) {
        const ranked = await rankByMoments(instead(block, 0), shape, kind, compensated, set);
        assert.deepEqual(ranked[block], before[block]![kind]);
        if (kind === "channels") assert.notDeepEqual(ranked[block - 2], before[block - 2]![kind]);
        await assert.rejects(
          rankByMoments(instead(block, NaN), shape, kind, compensated, set),
          (error) =>
            error instanceof CalibrationError && /block 1\.\w+ .*energy/.test(error.message),
        );
      }
    }),
);
