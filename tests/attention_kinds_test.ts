import { type Backend, openBackend } from "@lopper/backends";
import {
  type AttentionCase,
  ATTENTIONS,
  maxAbsDifference,
  openTinyEngine,
  withReusedGraphs,
} from "@lopper/backends/testing";
import { denseShape, type LongRopeScaling, type Shape } from "@lopper/core";
import { RequestScorer } from "@lopper/evaluation";
import { exportOnnx, onnxFile, onnxLogits } from "@lopper/exports";
import type { AttentionOp } from "@lopper/graphs";
import { nextTokens } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { Decoder, forwardFrom, LaidOutWeights, ResidentDecoder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { attentionModel } from "./support/attention_models.ts";
import { MemoryOutput } from "./support/heterogeneous.ts";
import { Random, randomRanking, randomShape } from "./support/tiny_models.ts";

/**
 * float32 sums of the same terms in another order, for logits and losses of a few units; a norm
 * behind a block makes small things that it adds large, and what was rounded in them.
 */
const TOLERANCE = 5e-5;
const toleranceOf = ({ variety }: AttentionCase) =>
  variety?.placement === "post" ? 5 * TOLERANCE : TOLERANCE;
const LENGTH = 23;

const longRope: LongRopeScaling = {
  type: "longrope",
  shortFactors: Array.from({ length: 8 }, (_, i) => 1 + i / 7),
  longFactors: Array.from({ length: 8 }, (_, i) => 1.5 + i),
  originalMaxPositions: 12,
  attentionFactor: 1.2,
};
const CASES: Readonly<Record<string, AttentionCase>> = {
  ...ATTENTIONS,
  "angles for long texts": {
    ...{ queryHeads: 4, kvHeads: 2 },
    variety: { attention: { rope: { theta: 10_000, scaling: longRope } } },
  },
};

/** The same engine as one on which another way to attend is the fastest. */
function taking(backend: Backend, attentionOp: AttentionOp): Backend {
  return {
    description: { ...backend.description, attentionOp },
    compile: (...of) => backend.compile(...of),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** As its users have it, and for what is held against it. */
const cpu = withReusedGraphs((await openBackend("cpu", { threads: 1 })).backend);
const [other, wasm] = [await openTinyEngine("cpu"), await openTinyEngine("wasm")];
Deno.test.afterAll(async () => {
  for (const backend of [cpu, other, wasm]) await backend[Symbol.asyncDispose]();
});

const text = (model: Model, seed: number) =>
  Array.from(
    { length: LENGTH },
    (_, i) => (31 * i * i + 7 * i + seed) % model.architecture.vocabSize,
  );

/** Logits of one sequence in one pass, or in two with a cache between them. */
async function logitsOf(decoder: Decoder, shape: Shape, ids: readonly number[], cuts: number[]) {
  const { hiddenSize, vocabSize } = decoder.architecture;
  const logits = new Float32Array(ids.length * vocabSize);
  let past: Parameters<Decoder["runCached"]>[2] = null;
  let done = 0;
  for (const end of [...cuts, ids.length]) {
    const part = ids.slice(done, end);
    const input = await decoder.embed([part], part.map((_, i) => done + i));
    const { hidden, present } = await decoder.runCached(shape, input, past);
    assert.equal(hidden.data.length, part.length * hiddenSize);
    logits.set(await decoder.logits(hidden.data), done * vocabSize);
    [past, done] = [present, end];
  }
  return logits;
}

for (const [what, of] of Object.entries(CASES)) {
  Deno.test({
    name: `attention with ${what}: every way to run a model is that by plain operators`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const random = new Random(11);
      const model = await attentionModel(of, random);
      const { architecture } = model;
      const load = (ranking = randomRanking(architecture, random)) =>
        LaidOutWeights.load(model, { ranking });
      const weights = await load();
      const plain = new Decoder(taking(other, "plain"), weights);
      const shapes = [
        denseShape(architecture.blocks),
        ...[0, 1].map(() => randomShape(architecture, random)),
      ];
      const texts = [text(model, 0), text(model, 5)];
      const close = (a: Float32Array, b: Float32Array, where: string) => {
        const difference = maxAbsDifference(a, b);
        assert.ok(difference < toleranceOf(of), `${where}: off by ${difference}`);
      };
      const losses = async (decoder: Decoder, shape: Shape) => {
        const hidden = await forwardFrom(decoder, shape, 0, await decoder.embed(texts));
        return await decoder.nll(hidden, nextTokens(texts));
      };
      const expected = await Promise.all(shapes.map((shape) => losses(plain, shape)));

      for (
        const [backend, op] of [[cpu, "gqa"], [other, "attention"], [wasm, "attention"]] as const
      ) {
        const name = `${backend.description.name} by ${op}`;
        const decoder = new Decoder(taking(backend, op), weights);
        const resident = new ResidentDecoder(
          taking(backend === cpu ? other : backend, op),
          weights,
        );
        for (const [i, shape] of shapes.entries()) {
          close(await losses(decoder, shape), expected[i], `${name}, shape ${i}`);
          close(await resident.nll(shape, texts), expected[i], `resident, ${name}, shape ${i}`);
        }
        const cuts = [12, 13, 14];
        const [by, plainly] = await Promise.all(
          [decoder, plain].map((d) => logitsOf(d, shapes[1], texts[0], cuts)),
        );
        close(by, plainly, `${name}, with a cache`);
        // Of angles for long texts, the first tokens keep those of short ones in the cache.
        if (what !== "angles for long texts") {
          close(plainly, await logitsOf(plain, shapes[1], texts[0], []), `${name}, at once`);
        }
        await resident.dispose();
        await decoder.dispose();
      }
      await checkExport(model, [cpu, wasm], texts[0], close);
      for (const shared of [15, 5]) await checkTrees(plain, texts, shared);
      await plain.dispose();
      model[Symbol.dispose]();
    },
  });
}

/** An exported decoder runs in two halves, with what the first one put into the cache. */
async function checkExport(
  model: Model,
  backends: readonly Backend[],
  ids: readonly number[],
  close: (a: Float32Array, b: Float32Array, where: string) => void,
) {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open);
  const data = Object.entries(output.files).filter(([path]) => path.includes("onnx_data"))
    .map(([path, bytes]) => [path.replace("onnx/", ""), bytes]);
  const decoder = new Decoder(backends[0], await LaidOutWeights.load(model));
  const dense = denseShape(model.architecture.blocks);
  // What a long text needed is no good for the first half of it.
  await logitsOf(decoder, dense, ids, []);
  const expected = await logitsOf(decoder, dense, ids, [Math.ceil(ids.length / 2)]);
  for (const backend of backends) {
    const exported = await backend.compile(
      output.files[onnxFile("fp32")],
      Object.fromEntries(data),
    );
    const logits = await onnxLogits(exported, model.architecture, ids);
    close(logits, expected, `exported, ${backend.description.name}`);
    await exported.dispose();
  }
  await decoder.dispose();
}

/** Answers that share a context run in one row, where a mask says what their tokens see. */
async function checkTrees(
  decoder: Decoder,
  [context, other]: readonly (readonly number[])[],
  shared: number,
) {
  const requests = [1, 2, 3].map((n) => ({
    tokens: [...context.slice(0, shared), ...other.slice(n, n + 2 + n)],
    scored: 2 + n,
  }));
  const scores = async (questions: Parameters<RequestScorer["score"]>[0]) => {
    const found = new Map<number, number[]>();
    for await (const batch of new RequestScorer(decoder).score(questions)) {
      for (const { question, scores } of batch) {
        found.set(question, scores.map(({ logLikelihood }) => logLikelihood));
      }
    }
    return questions.flatMap((_, i) => found.get(i)!);
  };
  const together = await scores([requests]);
  const apart = await scores(requests.map((request) => [request]));
  const difference = maxAbsDifference(together, apart);
  assert.ok(difference < 1e-4, `trees are off by ${difference}`);
}
