import {
  blockGraph,
  crossEntropyHead,
  gemm,
  independenceOf,
  tokenLogProbsHead,
} from "@lopper/graphs";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { type Backend, type Feeds, float32, int64 } from "../backend.ts";
import { openReferenceBackend } from "../reference_backend.ts";
import { testBackend } from "../testing/conformance.ts";
import { values } from "../testing/values.ts";
import { joinFetches, partsOfFeeds } from "./rows.ts";

/** A backend that runs the rows of each graph in three parts, where the graph says that it may. */
async function inParts(whole: Promise<Backend>): Promise<Backend> {
  const backend = await whole;
  return {
    ...{ description: backend.description },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    async compile(onnx, weights) {
      const independence = weights ? null : independenceOf(onnx);
      const executable = await backend.compile(onnx, weights);
      return {
        dispose: () => executable.dispose(),
        async run(feeds) {
          const parts = independence ? partsOfFeeds(independence, feeds, 3) : [feeds];
          return joinFetches(await Promise.all(parts.map((part) => executable.run(part))));
        },
      };
    },
  };
}

// What a graph says of its rows is so: in parts, all graphs of the suite come to the same.
testBackend("reference", () => inParts(openReferenceBackend()), { engine: /^lopper/ });

const HIDDEN = 12;
const { blocks: [ATTENTION, MLP] } = architectureOfLayers(
  [{ attention: { queryHeads: 2, kvHeads: 1 }, mlp: { intermediateSize: 8 } }],
  { hiddenSize: HIDDEN, headDim: 6 },
);
const NORM = { kind: "rms", eps: 1e-6 } as const;
const OPTIONS = { hiddenSize: HIDDEN, norm: NORM };

function shapes(onnx: Uint8Array, feeds: Feeds, parts: number) {
  const cut = partsOfFeeds(independenceOf(onnx)!, feeds, parts);
  return cut.map((part) =>
    Object.fromEntries(Object.entries(part).map(([name, { dims }]) => [name, dims]))
  );
}

Deno.test("rows: sequences are shared out of attention, tokens of an MLP, and nothing of a sum over all", () => {
  const hidden = float32(values(3 * 5 * HIDDEN, 1), [3, 5, HIDDEN]);
  const positions = int64(Array.from({ length: 15 }, (_, i) => i % 5), [3, 5]);
  const cos = float32(values(15, 2), [5, 3]);
  const attention = blockGraph(ATTENTION, { ...OPTIONS, attention: { op: "attention" } });
  assert.deepEqual(shapes(attention, { hidden, positions, cos }, 2), [
    { hidden: [2, 5, HIDDEN], positions: [2, 5], cos: [5, 3] },
    { hidden: [1, 5, HIDDEN], positions: [1, 5], cos: [5, 3] },
  ]);
  assert.equal(shapes(attention, { hidden, positions, cos }, 8).length, 3);
  assert.deepEqual(shapes(blockGraph(MLP, OPTIONS), { hidden }, 2), [
    { hidden: [1, 8, HIDDEN] },
    { hidden: [1, 7, HIDDEN] },
  ]);
  assert.equal(independenceOf(blockGraph(MLP, { ...OPTIONS, capture: "energy" })), null);
  assert.ok(independenceOf(blockGraph(MLP, { ...OPTIONS, capture: "values" })));
});

Deno.test("rows: of a head its rows, of a product those of its result", () => {
  const head = { hiddenSize: 4, vocabSize: 9, norm: NORM, outer: ["finalNorm"] as const };
  const rows = float32(values(3 * 4, 1), [3, 4]), tokens = int64([1, 2, 3, 4, 5, 6], [3, 2]);
  for (const graph of [crossEntropyHead(head), tokenLogProbsHead({ ...head, top: true })]) {
    assert.deepEqual(shapes(graph, { hidden: rows, tokens }, 2), [
      { hidden: [2, 4], tokens: [2, 2] },
      { hidden: [1, 4], tokens: [1, 2] },
    ]);
  }
  // The rows of the result are columns of a.
  const a = float32(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  const parts = partsOfFeeds(independenceOf(gemm({ transA: true }))!, { a, b: rows }, 2);
  assert.deepEqual(parts.map(({ a }) => [a.dims, [...a.data]]), [
    [[2, 2], [1, 2, 4, 5]],
    [[2, 1], [3, 6]],
  ]);
  assert.equal(parts[0].b, rows);
});

Deno.test("rows: parts put together again are the whole, whatever its type", () => {
  const independence = { axes: ["N"], feeds: new Map([["x", 0], ["y", 0], ["z", 0]]) };
  const feeds: Feeds = {
    x: float32(values(7 * 3, 1), [7, 3]),
    y: int64([1, 2, 3, 4, 5, 6, 7], [7]),
    z: { dtype: "bool", dims: [7, 1], data: Uint8Array.of(1, 0, 1, 1, 0, 0, 1) },
  };
  for (let parts = 1; parts < 10; parts++) {
    const cut = partsOfFeeds(independence, feeds, parts);
    assert.equal(cut.length, Math.min(parts, 7));
    const sizes = cut.map(({ y }) => y.data.length);
    assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `${sizes}`);
    assert.deepEqual(joinFetches(cut), feeds);
  }
});
