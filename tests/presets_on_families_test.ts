import type { Backend } from "@lopper/backends";
import { openTinyEngine } from "@lopper/backends/testing";
import { LopperError, sizeOf } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { listOf } from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import { cutTexts, MemoryStore, prune, runFlags, SETTINGS, type SettingsName } from "@lopper/run";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import type { WorkQueue } from "@lopper/workers";
import assert from "node:assert/strict";
import { FIXTURES, fixturesByFamily } from "./support/family_checks.ts";
import { Random } from "./support/tiny_models.ts";
import { withTokenizer } from "./support/with_tokenizer.ts";

/** Presets, and a table of single changes instead of a search. */
type Way = SettingsName | "table";
const WAYS = [...Object.keys(SETTINGS) as SettingsName[], "table"] as const;
/** Those that meet nothing that others do not meet. */
const LIKE_OTHERS: readonly Way[] = ["multipruner", "quick"];

/** Texts of digits, whose bytes every tiny vocabulary has. */
function texts(count: number, seed: number) {
  const random = new Random(seed);
  const text = () => Array.from({ length: 40 }, () => random.pick([..."0123456789", " "])).join("");
  return listOf(Array.from({ length: count }, text));
}

const SOURCES = {
  block: { name: "digits", sources: [{ samples: texts(80, 1), weight: 1 }] },
  width: null,
  heldOut: { name: "other digits", samples: texts(6, 2) },
};

/** Tokenizers by the size of the vocabulary, on which alone they depend: each has a thread. */
class Tokenizers implements Disposable {
  readonly #opened = new Map<number, Tokenizer>();

  async of({ architecture: { vocabSize }, folder }: Model): Promise<Tokenizer> {
    const tokenizer = this.#opened.get(vocabSize) ?? await openTokenizer(folder);
    this.#opened.set(vocabSize, tokenizer);
    return tokenizer;
  }

  [Symbol.dispose]() {
    for (const tokenizer of this.#opened.values()) tokenizer[Symbol.dispose]();
  }
}

/** Takes a twentieth of a fixture. @throws what the run throws. */
async function pruned(
  fixture: string,
  way: Way,
  { backend, tokenizers, queue }: {
    readonly backend: Backend;
    readonly tokenizers: Tokenizers;
    readonly queue?: WorkQueue;
  },
) {
  const opened = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
  const model = { ...opened, folder: withTokenizer(opened) };
  const tokenizer = await tokenizers.of(model);
  try {
    const asked = way === "table" ? { search: way, ranking: "energy" as const } : { preset: way };
    const flags = runFlags(model.architecture, {
      ...{ ...asked, ratio: 5, bestEffort: true, samples: 3, widthSamples: 3, seqLen: 12 },
      heldOut: "digits",
    });
    const cut = await cutTexts(SOURCES, flags, model.architecture, tokenizer);
    const store = new MemoryStore();
    const runTools = { backend, tokenizer, store, memory: () => 2e9, queue };
    for await (const _ of prune(model, cut, { flags }, runTools));
    using result = await openModel(store.result);
    return { record: store.record!, bytes: [model.weightBytes, result.weightBytes] };
  } finally {
    opened[Symbol.dispose]();
  }
}

/** The fixtures of all families; of every tenth for what meets nothing that others do not meet. */
async function familiesFor(way: Way): Promise<ReadonlyMap<string, string>> {
  const all = [...await fixturesByFamily()];
  return new Map(LIKE_OTHERS.includes(way) ? all.filter((_, i) => i % 10 === 0) : all);
}

for (const way of WAYS) {
  Deno.test({
    name: `${
      way === "table" ? "a table" : `preset ${way}`
    } decides on every family, or says in a sentence why it has nothing to take`,
    // The engine keeps its threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const backend = await openTinyEngine("cpu");
      using tokenizers = new Tokenizers();
      const tools = { backend, tokenizers };
      const refused: string[] = [], alone: string[] = [];
      const fixtures = await familiesFor(way);
      for (const [type, fixture] of fixtures) {
        try {
          const { record, bytes: [before, after] } = await pruned(fixture, way, tools);
          // A model of one KV group has no heads to take.
          if (way === "heads" && record.steps === 0) {
            alone.push(type);
            continue;
          }
          assert.ok(record.steps > 0 && after < before, `${type}: ${record.steps} steps`);
          assert.ok(Number.isFinite(record.perplexity.heldOut.pruned), type);
        } catch (error) {
          if (!(error instanceof LopperError)) throw error;
          assert.match(error.message, /experts/, `${type}: ${error.message}`);
          refused.push(type);
        }
      }
      // Only what is for experts alone finds none in most families, and a table knows none.
      const some = way === "experts" || way === "table";
      const few = some ? refused.length > 0 : refused.length === 0;
      assert.ok(few, refused.join(", "));
      for (const type of alone) {
        using model = await openModel(new FileFolder(`${FIXTURES}/${fixtures.get(type)}`));
        const groups = model.architecture.blocks.map((block) => sizeOf(block).kvGroups ?? 1);
        assert.ok(groups.every((count) => count === 1), `${type}: ${groups}`);
      }
      await backend[Symbol.asyncDispose]();
    },
  });
}

Deno.test({
  name: "a table needs fits, which workers do not have",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const backend = await openTinyEngine("cpu");
    using tokenizers = new Tokenizers();
    const tools = { backend, tokenizers, queue: {} as WorkQueue };
    await assert.rejects(pruned("qwen2", "table", tools), /leave out --workers/);
    await backend[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "a mixture is pruned alike where a device keeps weights from run to run",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const backend = await openTinyEngine("cpu");
    using tokenizers = new Tokenizers();
    const keeping: Backend = {
      compile: (onnx, weights) => backend.compile(onnx, weights),
      description: { ...backend.description, residentWeights: true },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const [usual, there] = [
      await pruned("qwen3_moe", "experts", { backend, tokenizers }),
      await pruned("qwen3_moe", "experts", { backend: keeping, tokenizers }),
    ];
    assert.deepEqual(there.record.layers, usual.record.layers);
    assert.deepEqual(there.record.perplexity, usual.record.perplexity);
    await backend[Symbol.asyncDispose]();
  },
});
