import {
  type Backend,
  type BackendName,
  type Executable,
  type Feeds,
  openBackend,
} from "@lopper/backends";
import {
  type Architecture,
  denseShape,
  hasExperts,
  type Shape,
  UnsupportedOpError,
} from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import { nextTokens } from "@lopper/importance";
import { operatorLacks } from "@lopper/graphs";
import { openModel } from "@lopper/models";
import { Decoder, forwardFrom, LaidOutWeights, ResidentDecoder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference, openTinyEngine } from "@lopper/backends/testing";
import { Random, randomRanking, randomShape } from "./support/tiny_models.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/families", import.meta.url));
const FAMILIES = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
/** float32 sums of the same terms in another order, for losses of a few nats. */
const TOLERANCE = 1e-4;

interface Variant {
  readonly name: string;
  readonly backend: BackendName;
  /** The operators that the graph must hold for the variant to test what it says. */
  readonly wanted: readonly string[];
  /** A change of the description, so that this engine takes the graphs of another. */
  readonly as?: Partial<Backend["description"]>;
}

const VARIANTS: readonly Variant[] = [
  { name: "cpu", backend: "cpu", wanted: ["Softmax", "LogSoftmax"] },
  {
    name: "cpu with the graph for CUDA",
    backend: "cpu",
    wanted: ["Attention", "LogSoftmax"],
    as: { attentionOp: "attention" },
  },
  {
    name: "cpu with the graph for WebGPU",
    backend: "cpu",
    wanted: ["Softmax", "ReduceMax"],
    as: { logSoftmax: false },
  },
  { name: "wasm", backend: "wasm", wanted: ["Attention", "LogSoftmax"] },
  { name: "cuda", backend: "cuda", wanted: ["LogSoftmax"] },
  { name: "webgpu", backend: "webgpu", wanted: ["Softmax", "ReduceMax"] },
];

/** The same engine, with notes of what it compiles. */
function recording(backend: Backend, change: Variant["as"], graphs: Uint8Array[]): Backend {
  return {
    description: { ...backend.description, ...change },
    compile(onnx, weights): Promise<Executable> {
      graphs.push(onnx);
      return backend.compile(onnx, weights);
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** Operators in a graph: their names stand there as text with their length before them. */
function operators(onnx: Uint8Array): (name: string) => boolean {
  const text = new TextDecoder("latin1").decode(onnx);
  return (name) => text.includes(String.fromCharCode(0x22, name.length) + name);
}

/**
 * Every shape that matters: nothing changed, each kind of block alone and gone, everything gone,
 * and random ones.
 */
function shapes(architecture: Architecture, random: Random): readonly Shape[] {
  const dense = denseShape(architecture.blocks);
  const only = (kind: string) =>
    dense.map((size, number) => architecture.blocks[number].kind === kind ? size : null);
  return [
    dense,
    only("attention"),
    only("mlp"),
    dense.map(() => null),
    ...Array.from({ length: 4 }, () => randomShape(architecture, random)),
  ];
}

function texts(architecture: Architecture, count: number, length: number): number[][] {
  return Array.from(
    { length: count },
    (_, s) =>
      Array.from({ length }, (_, i) => (31 * i * i + 7 * s + 3 * i) % architecture.vocabSize),
  );
}

const devices = new Map<BackendName, Backend>();
/** Nobody has such a graph on the processor: what it computes counts, not how. */
const tiny = { cpu: await openTinyEngine("cpu"), wasm: await openTinyEngine("wasm") };
Deno.test.afterAll(async () => {
  for (const backend of Object.values(tiny)) await backend[Symbol.asyncDispose]();
});
for (const name of ["cuda", "webgpu"] as const) {
  try {
    devices.set(name, (await openBackend(name, { threads: 1 })).backend);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`skipped: the resident graph on ${name}: ${reason}`);
  }
}

function engineTest(name: string, fn: () => Promise<void>) {
  // The engines keep thread pools for the life of the process.
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn });
}

/** A model, its units in an order of their own, and shapes of it: the same for each variant. */
async function subject(folder: string) {
  const model = await openModel(new FileFolder(folder));
  const { architecture } = model;
  const random = new Random(7);
  const ranking = randomRanking(architecture, random);
  return { model, ranking, shapes: shapes(architecture, random) };
}

const SEQUENCES = 3, LENGTH = 40;

interface Expected {
  /** By shape. */
  readonly losses: readonly Float32Array[];
  readonly blockTokens: number;
}

/** What the decoder says of the models, by folder, since all variants are held against it. */
const decoded = new Map<string, Promise<Expected>>();

function byDecoder(folder: string): Promise<Expected> {
  const found = decoded.get(folder) ?? decode(folder);
  decoded.set(folder, found);
  return found;
}

async function decode(folder: string): Promise<Expected> {
  const { model, ranking, shapes } = await subject(folder);
  await using decoder = new Decoder(tiny.cpu, await LaidOutWeights.load(model, { ranking }));
  const sequences = texts(model.architecture, SEQUENCES, LENGTH);
  const losses: Float32Array[] = [];
  for (const shape of shapes) {
    const hidden = await forwardFrom(decoder, shape, 0, await decoder.embed(sequences));
    losses.push(await decoder.nll(hidden, nextTokens(sequences)));
  }
  model[Symbol.dispose]();
  // Shapes that made no difference would prove nothing.
  for (const other of losses.slice(1, 4)) {
    assert.ok(maxAbsDifference(losses[0], other) > 100 * TOLERANCE);
  }
  return { losses, blockTokens: decoder.blockTokens };
}

for (const variant of VARIANTS) {
  const { backend: name } = variant;
  const backend = name === "cpu" || name === "wasm" ? tiny[name] : devices.get(name);
  if (!backend) continue;
  const models = [...FAMILIES.map((name) => [name, `${FIXTURES}/${name}`])];
  models.push(["the embedded model", fileURLToPath(DEMO_MODEL)]);
  for (const [name, folder] of models) {
    engineTest(`resident graph of ${name} on ${variant.name}: losses of the decoder`, async () => {
      const { model, ranking, shapes } = await subject(folder);
      const { architecture } = model;
      if (hasExperts(architecture)) {
        // Which experts tokens go to is found out beside the device: a search runs block by block.
        const weights = await LaidOutWeights.load(model);
        await using resident = new ResidentDecoder(backend, weights);
        const [shape, text] = [denseShape(architecture.blocks), texts(architecture, 1, 8)];
        await assert.rejects(resident.nll(shape, text), /is computed beside graphs/);
        return;
      }
      const weights = await LaidOutWeights.load(model, { ranking });
      const graphs: Uint8Array[] = [];
      const resident = new ResidentDecoder(recording(backend, variant.as, graphs), weights);
      const sequences = texts(architecture, SEQUENCES, LENGTH);
      const { losses, blockTokens } = await byDecoder(folder);
      for (const [i, shape] of shapes.entries()) {
        const difference = maxAbsDifference(await resident.nll(shape, sequences), losses[i]);
        assert.ok(difference < TOLERANCE, `off by ${difference} for ${JSON.stringify(shape)}`);
      }
      const graph = graphs.at(-1)!;
      const attends = architecture.blocks.some((block) =>
        block.attention?.softCap === null && operatorLacks("attention", block) === null
      );
      const wanted = variant.wanted.filter((op) => attends || op !== "Attention");
      assert.deepEqual(wanted.filter((op) => !operators(graph)(op)), []);
      assert.ok(graph.length < 100_000, `${graph.length} bytes: weights are not in the graph`);
      assert.ok(Math.abs(resident.blockTokens / blockTokens - 1) < 1e-9);
      await resident.dispose();
      model[Symbol.dispose]();
    });
  }
}

for (const [name, device] of devices) {
  engineTest(`block by block on ${name}: losses and logits of the CPU`, async () => {
    const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
    const { architecture } = model;
    const weights = await LaidOutWeights.load(model, {
      ranking: randomRanking(architecture, new Random(3)),
    });
    const sequences = texts(architecture, 2, 70);
    const shape = randomShape(architecture, new Random(4));
    const run = async (backend: Backend) => {
      const decoder = new Decoder(backend, weights);
      const hidden = await forwardFrom(decoder, shape, 0, await decoder.embed(sequences));
      const nll = await decoder.nll(hidden, nextTokens(sequences));
      const logits = await decoder.logits(hidden.data);
      await decoder.dispose();
      return [nll, logits];
    };
    const reference = (await openBackend("cpu", { threads: 1 })).backend;
    const expected = await run(reference);
    for (const [i, got] of (await run(device)).entries()) {
      const difference = maxAbsDifference(got, expected[i]);
      assert.ok(difference < TOLERANCE, `off by ${difference}`);
    }
    await reference[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  });
}

/** A resident decoder of a fixture on the CPU, whose backend may be changed. */
async function withResident(
  family: string,
  fn: (resident: ResidentDecoder, weights: LaidOutWeights, backend: Backend) => Promise<void>,
  change: (backend: Backend) => Backend = (backend) => backend,
) {
  const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
  const weights = await LaidOutWeights.load(model, {
    ranking: randomRanking(model.architecture, new Random(1)),
  });
  const resident = new ResidentDecoder(change(tiny.cpu), weights);
  try {
    await fn(resident, weights, tiny.cpu);
  } finally {
    await resident.dispose();
    model[Symbol.dispose]();
  }
}

/** The same engine, with notes of the feeds of every run. */
function watched(backend: Backend, runs: Feeds[]): Backend {
  return {
    description: backend.description,
    async compile(onnx, weights) {
      const executable = await backend.compile(onnx, weights);
      return {
        run(feeds) {
          runs.push(feeds);
          return executable.run(feeds);
        },
        dispose: () => executable.dispose(),
      };
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

engineTest("resident graph: sequences run in as many batches as the memory asks for", () => {
  const runs: Feeds[] = [];
  return withResident("qwen3", async (resident, weights, backend) => {
    const { architecture } = resident;
    const sequences = texts(architecture, 5, 9);
    const dense = denseShape(resident.blocks);
    const whole = await resident.nll(dense, sequences);
    assert.equal(runs.length, 1);
    const runValues = 2 * 9 * architecture.vocabSize;
    const small = new ResidentDecoder(watched(backend, runs), weights, { runValues });
    const parts = await small.nll(dense, sequences);
    assert.deepEqual(runs.slice(1).map(({ ids }) => ids.dims), [[2, 9], [2, 9], [1, 9]]);
    assert.ok(maxAbsDifference(parts, whole) < 1e-5);
    await small.dispose();
  }, (backend) => watched(backend, runs));
});

engineTest(
  "resident graph: only tokens and lengths are fed, and a removed block is not run",
  () => {
    const runs: Feeds[] = [];
    return withResident("qwen3", async (resident) => {
      const half = denseShape(resident.blocks).with(0, null).with(3, null);
      await resident.nll(half, texts(resident.architecture, 1, 5));
      const kept = Object.entries(runs[0])
        .filter(([name]) => name.endsWith(".keep"))
        .map(([name, { data }]) => [name, data[0]]);
      assert.deepEqual(Object.fromEntries(kept), {
        "0.attention.keep": 0,
        "0.mlp.keep": 1,
        "1.attention.keep": 1,
        "1.mlp.keep": 0,
      });
      const floats = Object.entries(runs[0]).filter(([, { dtype }]) => dtype === "float32");
      assert.deepEqual(floats.map(([name]) => name), ["cos", "sin", "probabilities"]);
      assert.equal(runs[0].probabilities.data.length, 5, "one a token");
    }, (backend) => watched(backend, runs));
  },
);

engineTest("resident graph: what the device refuses is computed with other operators there", () => {
  const tried: string[] = [];
  const refusing = (backend: Backend): Backend => ({
    description: { ...backend.description, attentionOp: "attention" },
    compile(onnx, weights) {
      const has = operators(onnx);
      tried.push(has("Attention") ? "Attention" : "Softmax");
      if (has("Attention")) throw new UnsupportedOpError("test", "Attention");
      return backend.compile(onnx, weights);
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  });
  return withResident("qwen3", async (resident) => {
    await resident.nll(denseShape(resident.blocks), texts(resident.architecture, 1, 5));
    await resident.nll(denseShape(resident.blocks), texts(resident.architecture, 1, 5));
    assert.deepEqual(tried, ["Attention", "Softmax"]);
  }, refusing);
});

engineTest("resident graph: shapes and texts that are not the model's are refused", async () => {
  await withResident("mistral-sliding", async (resident) => {
    const { architecture } = resident;
    const text = texts(architecture, 2, 8);
    const dense = denseShape(resident.blocks);
    const [{ kvGroups }, { channels }] = [dense[0]!, dense[1]!];
    const wrong: readonly Shape[] = [
      dense.slice(1),
      dense.with(1, { channels: channels + 1 }),
      dense.with(1, { channels: 0 }),
      dense.with(1, { channels: 1.5 }),
      dense.with(0, { kvGroups: 2 * kvGroups }),
      dense.with(0, { channels }),
    ];
    for (const shape of wrong) {
      await assert.rejects(resident.nll(shape, text), RangeError, JSON.stringify(shape));
    }
    const beyond = [...text, text[0].map(() => architecture.vocabSize)];
    await assert.rejects(resident.nll(dense, beyond), RangeError);
    await assert.rejects(resident.nll(dense, [...text, [1, 2]]), RangeError);
    assert.equal(resident.blockTokens, 0);
    await resident.nll(dense, text);
  });
  await withResident("llama-missing-blocks", async (resident) => {
    const { architecture } = resident;
    const twice: Shape = Array.from(
      { length: architecture.layerCount },
      (): Shape => [{ kvGroups: 1 }, { channels: 1 }],
    ).flat();
    assert.ok(twice.length > resident.blocks.length, "some are missing");
    await assert.rejects(resident.nll(twice, texts(architecture, 1, 4)), RangeError);
  });
});
