import { type Backend, float32, float32Data, int64, openBackend } from "@lopper/backends";
import { openReferenceBackend } from "@lopper/backends/reference";
import { axisLength, type Block, type BlockSize, sizeOf } from "@lopper/core";
import { GraphBuilder } from "@lopper/graphs";
import assert from "node:assert/strict";
import {
  linear,
  linearTransposed,
  maxAbsDifference,
  rmsNorm,
} from "../packages/backends/testing/reference.ts";
import { TOLERANCE, values } from "../packages/backends/testing/values.ts";
import { blockNodes } from "../packages/graphs/block_nodes.ts";
import { type BlockKind, type BlockWeights, notAttended } from "../packages/graphs/block_scope.ts";
import { BLOCK_KINDS } from "../packages/graphs/kinds/mod.ts";
import { fedWeights } from "../packages/graphs/weights/fed.ts";
import { laidOutAxes } from "../packages/graphs/weights/laid_out.ts";
import {
  residentRows,
  residentWeightName,
  residentWeights,
} from "../packages/graphs/weights/resident.ts";
import { storedWeights } from "../packages/graphs/weights/stored.ts";

/**
 * All that a new kind of block is: lower(raise(x)²), with the one line that adds it to the list.
 */
const toy: BlockKind = {
  kind: "toy",
  compute({ g, weights }, x) {
    const raised = weights.project(x, "raise");
    const activations = g.node("Mul", [raised, raised]);
    return { out: weights.project(activations, "lower"), captured: activations };
  },
};
const KINDS = [...BLOCK_KINDS, toy];

const [TOKENS, HIDDEN, EPS] = [3, 8, 1e-5];
const NORM = { kind: "rms", eps: EPS } as const;
const cells = { dimension: "cells", width: 2 };

/**
 * What the model says of it: three cells of two channels, one bias along them, one along the hidden
 * states.
 */
const BLOCK: Block = {
  id: "0.toy",
  layer: 0,
  kind: "toy",
  dimensions: [{ name: "cells", units: 3 }],
  weights: [
    { name: "norm", axes: [HIDDEN], norm: true },
    { name: "raise", axes: [cells, HIDDEN] },
    { name: "raise_bias", axes: [cells] },
    { name: "lower", axes: [HIDDEN, cells] },
    { name: "lower_bias", axes: [HIDDEN] },
  ],
};

const hidden = values(TOKENS * HIDDEN, 1);

/** The weights as they are laid out in memory, of the first cells. */
function laidOut(size: BlockSize): Readonly<Record<string, Float32Array>> {
  return Object.fromEntries(BLOCK.weights.map((weight, i) => {
    const [full, wanted] = [sizeOf(BLOCK), size].map((size) =>
      laidOutAxes(weight).reduce<number>((product, axis) => product * axisLength(axis, size), 1)
    );
    return [weight.name, values(full, i + 2, weight.norm ? 1 : 0).subarray(0, wanted)];
  }));
}

/** In float64. */
function expected({ placement }: Block, size: BlockSize): Float64Array {
  const w = laidOut(size);
  const norm = (x: Float64Array) => rmsNorm(x, w.norm, EPS);
  const toy = (x: Float64Array) => {
    const squares = linear(x, w.raise, HIDDEN, w.raise_bias).map((y) => y * y);
    return linearTransposed(squares, w.lower, w.raise_bias.length, w.lower_bias);
  };
  const h = Float64Array.from(hidden);
  const added = placement === "post" ? norm(toy(h)) : toy(norm(h));
  return h.map((x, i) => x + added[i]);
}

/** A graph of the block alone, `h [N, H]` → `out`. */
function graphOf(block: Block, weightsIn: (g: GraphBuilder) => BlockWeights): Uint8Array {
  const g = new GraphBuilder("toy", 21);
  const h = g.input("h", "float32", ["N", HIDDEN]);
  const scope = { g, block, weights: weightsIn(g), norm: NORM, attend: notAttended(block) };
  g.output(
    "out",
    blockNodes(scope, { sum: h, read: h, hiddenSize: HIDDEN }, KINDS).out,
    "float32",
    ["N", HIDDEN],
  );
  return g.encode();
}

const h = float32(hidden, [TOKENS, HIDDEN]);

/** What a block of this size makes of the hidden states, by the way its weights come. */
type Binding = (backend: Backend, block: Block, size: BlockSize) => Promise<Float32Array>;

const fed: Binding = async (backend, block, size) => {
  const run = await backend.compile(graphOf(block, (g) => fedWeights(g, block)));
  const weights = Object.entries(laidOut(size)).map(([name, data], i) => {
    const dims = laidOutAxes(BLOCK.weights[i]).map((axis) => axisLength(axis, size));
    return [name, float32(data, dims)];
  });
  return float32Data(await run.run({ h, ...Object.fromEntries(weights) }), "out");
};

const resident: Binding = async (backend, block, size) => {
  const whole = Object.entries(laidOut(sizeOf(block)));
  const run = await backend.compile(
    graphOf(block, (g) => residentWeights(g, block)(g)),
    Object.fromEntries(whole.map(([name, data]) => [residentWeightName(block, name), data])),
  );
  const rows = Array.from(residentRows(block), ([name, axis]) => [
    name,
    int64([axisLength(axis, size)], [1]),
  ]);
  return float32Data(await run.run({ h, ...Object.fromEntries(rows) }), "out");
};

/** As an export has them: a matrix as in the checkpoint, and no narrower than the model's. */
const stored: Binding = async (backend, block, size) => {
  const small = { ...block, dimensions: [{ name: "cells", units: size.cells }] };
  const weights = laidOut(size);
  const columns = weights.raise_bias.length;
  const lower = Float32Array.from(
    weights.lower,
    (_, i) => weights.lower[(i % columns) * HIDDEN + Math.floor(i / columns)],
  );
  const shapes: Readonly<Record<string, number[]>> = {
    raise: [columns, HIDDEN],
    lower: [HIDDEN, columns],
    raise_bias: [columns],
  };
  const graph = graphOf(small, (g) =>
    storedWeights(g, small, "float32", (name, element) => ({
      name,
      element: element as "float32",
      dims: shapes[name] ?? [HIDDEN],
      location: name,
      offset: 0,
      length: weights[name].byteLength,
    })));
  const run = await backend.compile(graph, { ...weights, lower });
  return float32Data(await run.run({ h }), "out");
};

for (const [name, binding] of Object.entries({ fed, resident, stored })) {
  Deno.test({
    name: `a new kind of block needs its arithmetic and no more: with weights that are ${name}`,
    // The engine keeps its threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend: cpu } = await openBackend("cpu", { threads: 1 });
      for (const backend of [cpu, await openReferenceBackend()]) {
        for (const placement of ["pre", "post"] as const) {
          const block = { ...BLOCK, placement };
          for (const units of [3, 1]) {
            const found = await binding(backend, block, { cells: units });
            const off = maxAbsDifference(found, expected(block, { cells: units }));
            assert.ok(off < TOLERANCE, `${placement}, ${units} cells: off by ${off}`);
          }
        }
      }
      await cpu[Symbol.asyncDispose]();
    },
  });
}

Deno.test("a block of a kind that nothing computes is named", () => {
  const g = new GraphBuilder("none");
  const scope = { g, block: BLOCK, weights: fedWeights(g, BLOCK), norm: NORM };
  const h = g.input("h", "float32", ["N", HIDDEN]);
  const input = { sum: h, read: h, hiddenSize: HIDDEN };
  assert.throws(
    () => blockNodes({ ...scope, attend: notAttended(BLOCK) }, input),
    /nothing computes a block of the kind toy/,
  );
});
