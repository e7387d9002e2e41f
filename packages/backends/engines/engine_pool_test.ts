import { UnsupportedOpError } from "@lopper/core";
import { blockGraph, crossEntropyHead, gemm, GraphBuilder } from "@lopper/graphs";
import { architectureOfLayers } from "@lopper/models/testing";
import { openThread } from "@lopper/threads";
import assert from "node:assert/strict";
import { type Backend, type Feeds, float32, int64 } from "../backend.ts";
import { values } from "../testing/values.ts";
import { describeWebEngine, openWebEngine } from "../web_engine.ts";
import type { StartThread } from "./engine.ts";
import { EnginePool } from "./engine_pool.ts";

function test(name: string, body: () => Promise<void>) {
  Deno.test({
    name: `engine pool: ${name}`,
    // The engine keeps what it loaded for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: body,
  });
}

const HIDDEN = 48;
const { blocks: [ATTENTION, MLP] } = architectureOfLayers(
  [{ attention: { queryHeads: 6, kvHeads: 2 }, mlp: { intermediateSize: 100 } }],
  { hiddenSize: HIDDEN, headDim: 8 },
);

interface Case {
  readonly graph: Uint8Array;
  readonly feeds: Feeds;
}

/** Graphs of all kinds, over numbers of rows that no number of engines divides. */
function cases(): readonly Case[] {
  const options = { hiddenSize: HIDDEN, norm: { kind: "rms", eps: 1e-6 } } as const;
  const [batch, length, vocabSize] = [5, 17, 301];
  const matrix = (rows: number, columns: number, seed: number) =>
    float32(values(rows * columns, seed), [rows, columns]);
  const hidden = float32(values(batch * length * HIDDEN, 1), [batch, length, HIDDEN]);
  const rows = matrix(batch * length, HIDDEN, 1);
  const one = float32(values(HIDDEN, 2, 1), [HIDDEN]);
  return [
    {
      graph: blockGraph(ATTENTION, { ...options, attention: { op: "attention" } }),
      feeds: {
        ...{ hidden, norm: one, q: matrix(48, 48, 3), k: matrix(16, 48, 4) },
        ...{ v: matrix(16, 48, 5), o: matrix(48, 48, 6) },
        positions: int64(
          Array.from({ length: batch * length }, (_, i) => i % length),
          [batch, length],
        ),
        ...{ cos: matrix(length, 4, 7), sin: matrix(length, 4, 8) },
      },
    },
    {
      graph: blockGraph(MLP, options),
      feeds: {
        ...{ hidden, norm: one, gate: matrix(100, 48, 3), up: matrix(100, 48, 4) },
        down: matrix(100, 48, 5),
      },
    },
    {
      graph: crossEntropyHead({ ...options, vocabSize, outer: ["finalNorm"] }),
      feeds: {
        ...{ hidden: rows, norm: one, lm_head: matrix(vocabSize, HIDDEN, 9) },
        tokens: int64(Array.from({ length: batch * length }, (_, i) => 3 * i), [85, 1]),
        probabilities: float32(new Float32Array(85).fill(1), [85, 1]),
      },
    },
    { graph: gemm({ transA: true }), feeds: { a: matrix(85, 48, 1), b: matrix(85, 31, 2) } },
    {
      graph: gemm({ transB: true, add: true }),
      feeds: { a: matrix(85, 48, 1), b: matrix(31, 48, 2), c: matrix(85, 31, 3) },
    },
  ];
}

/** The bytes of all fetches of all cases. */
async function results(backend: Backend): Promise<readonly unknown[]> {
  const found = [];
  for (const { graph, feeds } of cases()) {
    const run = await backend.compile(graph);
    found.push(await run.run(feeds), await run.run(feeds));
    await run.dispose();
  }
  return found;
}

/** Engines that share out whatever has rows. */
function pool(engines: number, start?: StartThread): Backend {
  return new EnginePool(openWebEngine(), describeWebEngine(engines), { minValues: 1, start });
}

/** Threads that end, as by a trap nobody caught, instead of their run with this number. */
function endingAt(fatal: readonly number[]): { start: StartThread; started: () => number } {
  let runs = 0, started = 0;
  const start: StartThread = async (module, events) => {
    started++;
    const thread = await openThread(module, events);
    return {
      terminate: () => thread.terminate(),
      postMessage(message, transfer) {
        const fatally = "run" in (message as object) && fatal.includes(runs++);
        if (fatally) events.onError("memory access out of bounds");
        else thread.postMessage(message, transfer);
      },
    };
  };
  return { start, started: () => started };
}

test("every number of engines computes the same bits, and so does one in this thread", async () => {
  await using single = openWebEngine();
  const expected = await results(single);
  for (const engines of [2, 3]) {
    await using shared = pool(engines);
    assert.deepEqual(await results(shared), expected, `${engines} engines`);
  }
});

test("without memory that threads share, each engine gets a copy", async () => {
  const { SharedArrayBuffer } = globalThis;
  await using single = openWebEngine();
  const expected = await results(single);
  try {
    Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
    await using shared = pool(2);
    assert.deepEqual(await results(shared), expected);
  } finally {
    Object.assign(globalThis, { SharedArrayBuffer });
  }
});

test("where an engine's thread ends, another goes on with the same result", async () => {
  await using single = openWebEngine();
  const expected = await results(single);
  const { start, started } = endingAt([1, 6]);
  await using shared = pool(2, start);
  assert.deepEqual(await results(shared), expected);
  assert.equal(started(), 3);
});

test("two that end in a row at the same work are an error that says so", async () => {
  await using shared = pool(2, endingAt([0, 1]).start);
  const [{ graph, feeds }] = cases();
  const run = await shared.compile(graph);
  await assert.rejects(run.run(feeds), {
    name: "EngineLostError",
    message: /backend wasm ended .*\(memory access out of bounds\); with fewer --threads/,
  });
});

test("an operator without a kernel is refused by its name, and the pool goes on", async () => {
  await using shared = pool(2);
  const g = new GraphBuilder("unknown");
  g.output("out", g.node("NoSuchOperator", [g.input("x", "float32", ["N"])]), "float32", ["N"]);
  await assert.rejects(shared.compile(g.encode()), (error) => {
    assert.ok(error instanceof UnsupportedOpError);
    assert.deepEqual([error.backend, error.op], ["wasm", "NoSuchOperator"]);
    return true;
  });
  const [{ graph, feeds }] = cases();
  const run = await shared.compile(graph);
  const [first, second] = await Promise.all([run.run(feeds), run.run(feeds)]);
  assert.deepEqual(first, second);
});

test("what is too little to share out starts no other engine", async () => {
  await using single = openWebEngine();
  const expected = await results(single);
  const { start, started } = endingAt([]);
  // The hidden states of the cases have 4080 values.
  const options = { minValues: 4080, start };
  await using shared = new EnginePool(openWebEngine(), describeWebEngine(2), options);
  assert.deepEqual(await results(shared), expected);
  assert.equal(started(), 0);
});
