import { type Backend, openBackend } from "@lopper/backends";
import { openReferenceBackend } from "@lopper/backends/reference";
import { isUniform, keepLayers, layersWithBlocks, withShape } from "@lopper/core";
import { MemoryFolder, MemorySink } from "@lopper/formats";
import { FAMILIES, openModel, prunedTensors, writePrunedModel } from "@lopper/models";
import { Decoder, type KeyValues, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { planOfShape } from "./support/plan_of_shape.ts";
import assert from "node:assert/strict";
import { maxAbsDifference, openTinyEngine } from "@lopper/backends/testing";
import { Random, randomRanking, randomShape, tinyModel, traits } from "./support/tiny_models.ts";

/** float32 sums of the same terms in another order, for logits of order one. */
const TOLERANCE = 1e-5;
/**
 * Norms behind blocks make small sums large, and what was rounded in them. Where sums are of
 * doubles it is as with all others.
 */
const POST_NORM_TOLERANCE = 1e-4;
const SEEDS = { cpu: 200, wasm: 30 } as const;
const WANTED_TRAITS = [
  ...FAMILIES.map(({ modelType }) => modelType),
  ...["tied", "untied", "odd head size", "rms", "rms1p", "layer", "layer1p", "no norm weights"],
  ...["finalNormBias", "lmHeadBias", "positions", "embedding", "logits", "logitCap"],
  ...["pre", "post", "both", "parallel", "multiplier", "no gate", "gelu", "relu", "relu2"],
  ...["window", "no rotation", "partial rotation", "several ropes", "neighbours", "soft cap"],
  ...["clip", "scale", "MLPs among mixtures", "sigmoids of scores", "softmax over all"],
  ...["softmax over chosen", "renormalised", "routed factor", "groups of experts"],
  ...["corrected choice", "gated shared expert", "shared expert"],
  ...["attention removed", "MLP removed", "layer removed", "one KV group", "one channel"],
  "one expert",
  ...[
    "blocks missing before",
    "no block left",
    "heads apart from hidden size",
    "one KV head before",
  ],
];

/**
 * One random model and plan three ways: as an overlay, written and opened again, and token by token
 * from a cache.
 */
async function checkSeed(
  backend: Backend,
  seed: number,
  behindTolerance = POST_NORM_TOLERANCE,
): Promise<string[]> {
  const random = new Random(seed);
  // Each has its share of the seeds, however many there are.
  const { modelType } = FAMILIES[seed % FAMILIES.length];
  const dense = await openModel(await tinyModel(random, { families: [modelType] }));
  const { architecture } = dense;
  const ranking = randomRanking(architecture, random);
  const shape = randomShape(architecture, random);
  const plan = planOfShape(architecture, shape, ranking);
  const length = random.int(2, 12);
  const ids = Array.from({ length }, () => random.int(0, architecture.vocabSize - 1));

  const overlay = new Decoder(backend, await LaidOutWeights.load(dense, { ranking }));
  const expected = await sequenceLogits(overlay, [ids], shape);

  const files: Record<string, MemorySink> = {};
  await writePrunedModel(
    dense,
    plan,
    (file) => Promise.resolve(files[file] = new MemorySink()),
    random.chance(0.5) ? { maxShardBytes: 4000 } : {},
  );
  const bytes = Object.entries(files).map(([file, sink]) => [file, sink.bytes]);
  const written = await openModel(new MemoryFolder("written", Object.fromEntries(bytes)));
  const whole = withShape(architecture, shape);
  const left = keepLayers(whole, layersWithBlocks(whole));
  assert.deepEqual(written.architecture.blocks, (isUniform(left) ? left : whole).blocks);
  const reopened = new Decoder(
    backend,
    await LaidOutWeights.load(written),
  );
  const fromDisk = await sequenceLogits(reopened, [ids]);
  const onDisk = maxAbsDifference(fromDisk, expected);
  const tolerance = dense.family.placement === "post" ? behindTolerance : TOLERANCE;
  assert.ok(onDisk <= tolerance, `seed ${seed}: the written model is off by ${onDisk}`);

  let past: readonly (KeyValues | null)[] | null = null;
  for (let t = 0; t < length; t++) {
    const step: Awaited<ReturnType<Decoder["runCached"]>> = await overlay.runCached(
      shape,
      await overlay.embed([[ids[t]]], [t]),
      past,
    );
    past = step.present;
    const row = expected.subarray(t * architecture.vocabSize, (t + 1) * architecture.vocabSize);
    const cached = maxAbsDifference(await overlay.logits(step.hidden.data), row);
    assert.ok(cached <= tolerance, `seed ${seed}: cached position ${t} is off by ${cached}`);
  }
  await overlay.dispose();
  await reopened.dispose();
  return traits(architecture, plan);
}

for (const [name, seeds] of Object.entries(SEEDS) as ["cpu" | "wasm", number][]) {
  Deno.test({
    name: `overlay, written model and cached generation agree: ${seeds} random models on ${name}`,
    // The engines keep thread pools for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using backend = await openTinyEngine(name);
      const first = Number(Deno.env.get("LOPPER_SEED") ?? 0);
      const seen = new Set<string>();
      for (let seed = first; seed < first + seeds; seed++) {
        for (const trait of await checkSeed(backend, seed)) seen.add(trait);
      }
      // A few models are sure to be of several families, not of each.
      const wanted = name === "cpu" ? WANTED_TRAITS : [];
      assert.deepEqual(wanted.filter((trait) => !seen.has(trait)), [], "never occurred");
    },
  });
}

Deno.test("overlay: where norms lie behind blocks, what differs is what engines round in float32", async () => {
  const backend = await openReferenceBackend();
  const behind = Array.from({ length: SEEDS.cpu }, (_, seed) => seed).filter((seed) =>
    FAMILIES[seed % FAMILIES.length].placement === "post"
  );
  assert.ok(behind.length > 5);
  for (const seed of behind) await checkSeed(backend, seed, TOLERANCE);
});

/**
 * A matrix of numbers so small that processors treat them apart, and which an engine may take for
 * 0.
 */
function denormals(count: number): Uint8Array {
  return new Uint8Array(Uint32Array.from({ length: count }, (_, i) => i % 0x7f_ffff + 1).buffer);
}

Deno.test({
  name:
    "what stays is copied as bytes, denormal numbers too, after an engine has run in the process",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const random = new Random(5);
    const folder = await tinyModel(random);
    const model = await openModel(folder);
    const { backend } = await openBackend("cpu", { threads: 1 });
    const decoder = new Decoder(backend, await LaidOutWeights.load(model));
    await sequenceLogits(decoder, [[1, 2, 3]]);
    await decoder.dispose();

    const file = await folder.readBytes("model.safetensors", 1e6);
    const start = 8 + new DataView(file.buffer, file.byteOffset).getUint32(0, true);
    file.set(denormals((file.length - start) / 4), start);
    const files = {
      "config.json": await folder.readBytes("config.json", 1e6),
      "model.safetensors": file,
    };
    const tiny = await openModel(new MemoryFolder("denormals", files));
    const ranking = randomRanking(tiny.architecture, random);
    const plan = planOfShape(tiny.architecture, randomShape(tiny.architecture, random), ranking);
    let checked = 0;
    for (const { name, dtype, data } of prunedTensors(tiny, plan)) {
      assert.equal(dtype, "F32", name);
      const kept = new Uint32Array((await data()).slice().buffer);
      const source = new Set(new Uint32Array((await tiny.store.readBytes(name)).slice().buffer));
      assert.ok(kept.every((bits) => bits !== 0 && source.has(bits)), name);
      checked += kept.length;
    }
    assert.ok(checked > 500);
  },
});
