import { openBackend } from "@lopper/backends";
import { denseShape, type Shape, type StopSignal } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import type { TensorStore } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { recoded } from "../../tests/support/recoded.ts";
import { keptBytes } from "./block_inputs.ts";
import type { CalibrationSet } from "./calibration.ts";
import type { Scorable } from "./scorer.ts";
import { SuffixScorer } from "./suffix_scorer.ts";

const LENGTH = 12;
const BATCH_TOKENS = 2 * LENGTH;

/** Two scorers of a text, in two batches: of blocks in memory, and of blocks in the file. */
interface Scorers {
  readonly inMemory: SuffixScorer;
  /** With room for so many hidden states of a batch beside the inputs of blocks. */
  readonly inFile: (states: number, signal?: StopSignal) => SuffixScorer;
  readonly whole: Shape;
  /** Bytes of weights that were read, in whole models, but for what lies outside the blocks. */
  readonly modelsRead: () => number;
}

function passesTest(name: string, family: string, body: (scorers: Scorers) => Promise<void>) {
  Deno.test({
    name: `shared passes: ${name}: ${family}`,
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const folder = new URL(`../../tests/fixtures/families/${family}`, import.meta.url);
      using opened = await openModel(new FileFolder(fileURLToPath(folder)));
      using model = await recoded(opened, () => "BF16");
      const { model: counted, read } = counting(model);
      await using held = new Decoder(backend, await LaidOutWeights.load(model));
      await using decoder = new Decoder(
        backend,
        await LaidOutWeights.load(counted, { blockBytes: 0, expandedBytes: 0 }),
      );
      const { blocks, hiddenSize } = model.architecture;
      const set = textFor(model);
      const copy = keptBytes(model.architecture, LENGTH, BATCH_TOKENS);
      const state = 4 * hiddenSize * BATCH_TOKENS;
      const options = { batchTokens: BATCH_TOKENS };
      const inBlocks = model.weights
        .flatMap(({ role, tensor }) => "layer" in role ? [tensor.byteLength] : [])
        .reduce((sum, bytes) => sum + bytes, 0);
      const outside = read();
      await body({
        inMemory: new SuffixScorer(held, set, { ...options, cacheBytes: 1e9 }),
        inFile: (states, signal) =>
          new SuffixScorer(decoder, set, { ...options, signal, cacheBytes: copy + states * state }),
        whole: denseShape(blocks),
        modelsRead: () => (read() - outside) / inBlocks,
      });
      await backend[Symbol.asyncDispose]();
    },
  });
}

function counting(model: Model) {
  let bytes = 0;
  const { store } = model;
  const count = (name: string) => bytes += store.tensors.get(name)!.byteLength;
  const counted: TensorStore = {
    tensors: store.tensors,
    readFloat32: (name) => (count(name), store.readFloat32(name)),
    async readHalves(name, into) {
      count(name);
      const read = await store.readHalves(name);
      // As a file does, and bytes in memory do not.
      const halves = into ? new Uint16Array(into.buffer, into.byteOffset, read.length) : read;
      halves.set(read);
      return halves;
    },
    readBytes: (name, ...rest) => (count(name), store.readBytes(name, ...rest)),
    close: () => {},
  };
  return { model: { ...model, store: counted }, read: () => bytes };
}

function textFor({ architecture: { vocabSize } }: Model): CalibrationSet {
  const sequences = [0, 1, 2, 3].map((s) =>
    Array.from({ length: LENGTH }, (_, i) => (7 * s * s + 11 * i + s) % vocabSize)
  );
  return { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
}

/** Every block removed, and every second of its units. */
function candidatesOf(shape: Shape): Scorable[] {
  return shape.flatMap((size, first) => {
    if (!size) return [];
    const narrower = Object.fromEntries(
      Object.entries(size).map(([name, units]) => [name, Math.max(1, units >> 1)]),
    );
    return [null, narrower].map((left) => ({ first, shape: shape.with(first, left) }));
  });
}

/** As a round of a search scores: all is expected before the first is asked for. */
async function round(
  scorer: SuffixScorer,
  base: Shape,
  candidates: readonly (Scorable | null)[],
  batches: readonly number[] = [...scorer.batches.keys()],
): Promise<readonly (readonly number[])[]> {
  for (const batch of batches) scorer.expect?.(base, candidates, batch, "score");
  const found: (readonly number[])[] = [];
  for (const candidate of candidates) {
    for (const batch of batches) found.push(await scorer.score(base, candidate, batch));
  }
  return found;
}

for (const family of ["qwen2-heterogeneous", "gemma3", "stablelm-parallel", "granitemoeshared"]) {
  passesTest(
    "scores are those of blocks in memory, bit by bit, whatever room there is",
    family,
    async ({ inMemory, inFile, whole }) => {
      for (const states of [0, 9, 1e6]) {
        const scorer = inFile(states);
        let base = whole;
        for (let step = 0; step < 3; step++) {
          const candidates = [null, ...candidatesOf(base)];
          const some = candidates.filter((_, i) => i % 3 === 0);
          // Some were expected before, and one was asked for that nobody expects.
          scorer.expect!(base, some, 1, "score");
          const one = candidates.at(-2)!;
          assert.deepEqual(await scorer.score(base, one, 0), await inMemory.score(base, one, 0));
          assert.deepEqual(
            await round(scorer, base, candidates),
            await round(inMemory, base, candidates),
            `${states} states, step ${step}`,
          );
          const moved = candidates[1]!;
          assert.equal(
            await scorer.perturbation(base, moved, 1),
            await inMemory.perturbation(base, moved, 1),
          );
          // What was found or is expected of a plan that is not there any more is nobody's.
          scorer.expect!(base, candidates, 0, "score");
          await scorer.score(base, moved, 0);
          base = candidates.at(step - 3)!.shape;
        }
      }
    },
  );
}

passesTest(
  "a round reads each block once",
  "qwen2-heterogeneous",
  async ({ inMemory, inFile, whole, modelsRead }) => {
    const candidates = candidatesOf(whole);
    const readBy = async (use: () => Promise<unknown>) => {
      const before = modelsRead();
      await use();
      return modelsRead() - before;
    };
    const one = await readBy(() => round(inFile(1e6), whole, candidates));
    assert.ok(one > 0.5 && one <= 1, `${one} models for ${candidates.length} candidates`);
    const withBase = await readBy(() => round(inFile(1e6), whole, [null, ...candidates]));
    assert.ok(withBase <= 1, `${withBase} models with the base plan`);
    // Inputs of the base plan are kept for the batch that was there last.
    const scorer = inFile(1e6);
    await round(scorer, whole, candidates);
    const last = candidates.at(-1)!;
    const next = await readBy(() => scorer.score(whole, last, 1));
    assert.ok(next < 0.5 * one, `${next} models for the last block`);
    const alone = await readBy(() => round(inFile(0), whole, candidates));
    assert.ok(alone > 5 * one, `${alone} models where there is room for one candidate`);
    // Eight hidden states: the base plan and three candidates, as they enter a block and leave it.
    const few = await readBy(() => round(inFile(8), whole, candidates));
    assert.ok(few > 1.5 * one && few < alone / 2, `${few} models where there is room for three`);
    // Those that begin at about the same block run together, in whatever order they come.
    const scattered = candidates.map((_, i) => candidates[5 * i % candidates.length]);
    assert.equal(new Set(scattered).size, candidates.length);
    const [inOrder, mixed] = [
      await readBy(() => round(inFile(8), whole, candidates, [0])),
      await readBy(() => round(inFile(8), whole, scattered, [0])),
    ];
    assert.ok(mixed < 1.3 * inOrder, `${mixed} models, and ${inOrder} in their order`);
    assert.equal(await readBy(() => round(inMemory, whole, candidates)), 0);
    assert.equal(inMemory.expect, undefined);
  },
);

passesTest(
  "a stop is heard between blocks, and what was expected is scored by whoever goes on",
  "qwen2-heterogeneous",
  async ({ inFile, whole }) => {
    const candidates = candidatesOf(whole);
    const wanted = await round(inFile(1e6), whole, candidates);
    for (const after of [0, 1, candidates.length]) {
      let asked = 0;
      const scorer = inFile(1e6, {
        throwIfAborted() {
          if (asked++ === after) throw new Error("stopped");
        },
      });
      await assert.rejects(round(scorer, whole, candidates), /^Error: stopped$/);
      assert.deepEqual(await round(scorer, whole, candidates), wanted);
    }
  },
);

passesTest(
  "what fails is asked for again",
  "qwen2-heterogeneous",
  async ({ inFile, whole }) => {
    const scorer = inFile(1e6);
    const candidates = candidatesOf(whole);
    const wanted = await round(scorer, whole, candidates);
    const bad = { first: 0, shape: whole.with(0, { kvGroups: -1, channels: -1 }) };
    scorer.expect!(whole, candidates, 0, "score");
    await assert.rejects(scorer.score(whole, bad, 0));
    assert.deepEqual(await round(scorer, whole, candidates), wanted);
  },
);
