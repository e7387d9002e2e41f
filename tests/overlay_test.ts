import { type Backend, openBackend } from "@lopper/backends";
import { MemoryFolder, MemorySink, openModel, writePrunedModel } from "@lopper/model-io";
import {
  Decoder,
  type KeyValues,
  LaidOutWeights,
  sequenceLogits,
  sourceOrder,
} from "@lopper/runtime";
import { planFromLayers } from "@lopper/search";
import assert from "node:assert/strict";
import { maxAbsDifference } from "../packages/backends/testing/reference.ts";
import { Random, randomLayers, randomOrder, tinyModel, traits } from "./support/tiny_models.ts";

/** float32 sums of the same terms in another order, for logits of order one. */
const TOLERANCE = 1e-5;
const SEEDS = { cpu: 200, wasm: 30 } as const;
const WANTED_TRAITS = [
  ...["llama", "mistral", "qwen2", "qwen3", "tied", "untied", "odd head size"],
  ...["attention removed", "MLP removed", "layer removed", "one KV group", "one channel"],
  ...[
    "blocks missing before",
    "no block left",
    "heads apart from hidden size",
    "one KV head before",
  ],
];

/** One random model and plan three ways: as an overlay, written and opened again, and token by token from a cache. */
async function checkSeed(backend: Backend, seed: number): Promise<string[]> {
  const random = new Random(seed);
  const dense = await openModel(await tinyModel(random));
  const { spec } = dense;
  const order = randomOrder(spec, random);
  const layers = randomLayers(spec, random);
  const plan = planFromLayers(layers, order, { modelDigest: "sha256:test", removalOrder: [] });
  const length = random.int(2, 12);
  const ids = Array.from({ length }, () => random.int(0, spec.vocabSize - 1));

  const overlay = new Decoder(backend, await LaidOutWeights.load(dense, order));
  const expected = await sequenceLogits(overlay, [ids], layers);

  const files: Record<string, MemorySink> = {};
  await writePrunedModel(
    dense,
    plan,
    (file) => Promise.resolve(files[file] = new MemorySink()),
    random.chance(0.5) ? { maxShardBytes: 4000 } : {},
  );
  const bytes = Object.entries(files).map(([file, sink]) => [file, sink.bytes]);
  const written = await openModel(new MemoryFolder("written", Object.fromEntries(bytes)));
  assert.deepEqual(written.spec.layers, layers);
  const reopened = new Decoder(
    backend,
    await LaidOutWeights.load(written, sourceOrder(written.spec)),
  );
  const fromDisk = await sequenceLogits(reopened, [ids]);
  const onDisk = maxAbsDifference(fromDisk, expected);
  assert.ok(onDisk <= TOLERANCE, `seed ${seed}: the written model is off by ${onDisk}`);

  let past: readonly (KeyValues | null)[] | null = null;
  for (let t = 0; t < length; t++) {
    const step: Awaited<ReturnType<Decoder["runCached"]>> = await overlay.runCached(
      layers,
      await overlay.embed([[ids[t]]]),
      past,
    );
    past = step.present;
    const row = expected.subarray(t * spec.vocabSize, (t + 1) * spec.vocabSize);
    const cached = maxAbsDifference(await overlay.logits(step.stream.data), row);
    assert.ok(cached <= TOLERANCE, `seed ${seed}: cached position ${t} is off by ${cached}`);
  }
  await overlay.dispose();
  await reopened.dispose();
  return traits(spec, plan);
}

for (const [name, seeds] of Object.entries(SEEDS) as ["cpu" | "wasm", number][]) {
  Deno.test({
    name: `overlay, written model and cached generation agree: ${seeds} random models on ${name}`,
    // The engines keep thread pools for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend(name, {});
      const first = Number(Deno.env.get("LOPPER_SEED") ?? 0);
      const seen = new Set<string>();
      for (let seed = first; seed < first + seeds; seed++) {
        for (const trait of await checkSeed(backend, seed)) seen.add(trait);
      }
      assert.deepEqual(WANTED_TRAITS.filter((trait) => !seen.has(trait)), [], "never occurred");
    },
  });
}
