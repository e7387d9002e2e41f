import { axisLength, type Block, type BlockSize, headsOf } from "@lopper/core";
import { type AttentionOp, blockGraph, type FedAttention, laidOutAxes } from "@lopper/graphs";
import type { LayerSizes } from "@lopper/models";
import { type ArchitectureChange, architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { type Backend, type Feeds, float32, float32Data, int32, int64 } from "../backend.ts";
import {
  causalAttention,
  linear,
  linearTransposed,
  maxAbsDifference,
  rmsNorm,
  rotate,
} from "./reference.ts";
import { TOLERANCE, values } from "./values.ts";

/** The ways to compute attention that are an operator of their own, which an engine may lack. */
const ATTENTION_OPERATORS = { gqa: "GroupQueryAttention", attention: "Attention" } as const;
export type AttentionOperator = keyof typeof ATTENTION_OPERATORS;

const EPS = 1e-6;
const NORM = { kind: "rms", eps: EPS } as const;
const HIDDEN = 20;

const BIASED: ArchitectureChange = { traits: ["qkvBias", "outputBias", "mlpBias"] };

/** The only block of a layer like this. */
function blockOf(layer: Partial<LayerSizes>, variety: ArchitectureChange): Block {
  const [block] = architectureOfLayers([{ attention: null, mlp: null, ...layer }], {
    ...{ hiddenSize: HIDDEN, headDim: 16 },
    ...variety,
  }).blocks;
  return block;
}

/**
 * The weights of a block of this size as a graph is fed them, and the values of each; those of
 * norms are around 1.
 */
function weightsOf(block: Block, size: BlockSize) {
  const feeds = Object.fromEntries(block.weights.map((weight, seed) => {
    const dims = laidOutAxes(weight).map((axis) => axisLength(axis, size));
    const count = dims.reduce((product, d) => product * d, 1);
    const center = weight.name.endsWith("norm") ? 1 : 0;
    return [weight.name, float32(values(count, seed + 1, center), dims)];
  }));
  const data = (name: string) => feeds[name]?.data as Float32Array | undefined;
  return { feeds, data: (name: string) => data(name)!, optional: data };
}

type Weights = ReturnType<typeof weightsOf>;

/** In float64: h + f(norm(h)), or with the norm behind it h + norm(f(h)). */
function residual(
  { placement }: Block,
  norm: Float32Array,
  hidden: Float32Array,
  compute: (x: Float64Array) => Float64Array,
): Float64Array {
  const x = Float64Array.from(hidden);
  const added = placement === "post"
    ? rmsNorm(compute(x), norm, EPS)
    : compute(rmsNorm(x, norm, EPS));
  return added.map((value, i) => value + hidden[i]);
}

function expectedMlp(block: Block, { data, optional }: Weights, hidden: Float32Array) {
  return residual(block, data("norm"), hidden, (x) => {
    const gated = linear(x, data("gate"), HIDDEN, optional("gate_bias"));
    const raised = linear(x, data("up"), HIDDEN, optional("up_bias"));
    const product = gated.map((g, j) => g / (1 + Math.exp(-g)) * raised[j]);
    const channels = data("down").length / HIDDEN;
    return linearTransposed(product, data("down"), channels, optional("down_bias"));
  });
}

/** Cosines and sines `[80, headDim / 2]`; a table need not hold any. */
function rotaryTable(headDim: number) {
  const [cos, sin] = [12, 13].map((seed) => values(80 * headDim / 2, seed));
  const dims = [80, headDim / 2];
  return { cos, sin, feeds: { cos: float32(cos, dims), sin: float32(sin, dims) } };
}

/** One sequence `[T, hidden]`. */
function expectedAttention(
  block: Block,
  size: BlockSize,
  { data, optional }: Weights,
  hidden: Float32Array,
) {
  const { queryHeads, kvHeads, headDim } = headsOf(block, size);
  const { cos, sin } = rotaryTable(headDim);
  return residual(block, data("norm"), hidden, (x) => {
    const project = (name: string) => linear(x, data(name), HIDDEN, optional(`${name}_bias`));
    const rotated = (name: string, heads: number) => {
      const norm = optional(`${name}_norm`);
      const y = norm ? rmsNorm(project(name), norm, EPS) : project(name);
      return rotate(y, heads, headDim, (t) => t, cos, sin);
    };
    const [q, k] = [rotated("q", queryHeads), rotated("k", kvHeads)];
    const { scale, window } = block.attention!;
    const context = causalAttention(q, k, project("v"), {
      ...{ heads: queryHeads, kvHeads, headDim, scale, window },
    });
    return linearTransposed(context, data("o"), queryHeads * headDim, optional("o_bias"));
  });
}

function positionFeeds(op: AttentionOp, batch: number, past: number, length: number): Feeds {
  const total = past + length;
  return op === "gqa"
    ? { seqlens: int32(new Array(batch).fill(total - 1), [batch]), total: int32([total], [1]) }
    : {
      positions: int64(
        Array.from({ length: batch * length }, (_, i) => past + i % length),
        [batch, length],
      ),
    };
}

/** A norm behind a block makes small things that it adds large, and what was rounded in them. */
function toleranceOf({ placement }: Block): number {
  return placement === "post" ? 5 * TOLERANCE : TOLERANCE;
}

async function checkMlp(backend: Backend, variety: ArchitectureChange) {
  const block = blockOf({ mlp: { intermediateSize: 40 } }, variety);
  const run = await backend.compile(blockGraph(block, { hiddenSize: HIDDEN, norm: NORM }));
  for (const [batch, length, channels] of [[1, 3, 40], [7, 1, 9], [2, 3, 9], [1, 1, 1]]) {
    const weights = weightsOf(block, { channels });
    const hidden = values(batch * length * HIDDEN, 20);
    const fetches = await run.run({
      ...weights.feeds,
      hidden: float32(hidden, [batch, length, HIDDEN]),
    });
    assert.deepEqual(fetches.out.dims, [batch * length, HIDDEN]);
    const expected = expectedMlp(block, weights, hidden);
    const difference = maxAbsDifference(float32Data(fetches, "out"), expected);
    assert.ok(difference < toleranceOf(block), `${channels} channels: ${difference}`);
  }
}

interface AttentionCase {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly variety?: ArchitectureChange;
}

function attentionGraph(
  op: AttentionOp,
  { queryHeads, kvHeads, variety = {} }: AttentionCase,
  more: Partial<FedAttention> = {},
) {
  const block = blockOf({ attention: { queryHeads, kvHeads } }, variety);
  const windowed = block.attention!.window !== null;
  const attention = { op, size: { kvGroups: kvHeads }, ...(windowed && { windowed }), ...more };
  return { block, graph: blockGraph(block, { hiddenSize: HIDDEN, norm: NORM, attention }) };
}

/** @param groups sizes that one executable is to run with. */
async function checkAttention(
  backend: Backend,
  op: AttentionOp,
  of: AttentionCase,
  groups: readonly number[] = [of.kvHeads],
) {
  const { block, graph } = attentionGraph(op, of);
  const run = await backend.compile(graph);
  for (const kvGroups of groups) {
    const weights = weightsOf(block, { kvGroups });
    const { headDim } = headsOf(block, { kvGroups });
    // engines have other kernels for longer texts
    for (const [batch, length] of [[1, 5], [3, 9], [2, 1], [2, 70]]) {
      const hidden = values(batch * length * HIDDEN, 20);
      const fetches = await run.run({
        ...weights.feeds,
        ...rotaryTable(headDim).feeds,
        ...positionFeeds(op, batch, 0, length),
        hidden: float32(hidden, [batch, length, HIDDEN]),
      });
      const out = float32Data(fetches, "out");
      for (let b = 0; b < batch; b++) {
        const [from, to] = [b * length * HIDDEN, (b + 1) * length * HIDDEN];
        const expected = expectedAttention(
          block,
          { kvGroups },
          weights,
          hidden.subarray(from, to),
        );
        const difference = maxAbsDifference(out.subarray(from, to), expected);
        assert.ok(
          difference < toleranceOf(block),
          `batch ${batch}, length ${length}: ${difference}`,
        );
      }
    }
  }
}

async function checkCache(backend: Backend, op: AttentionOp, variety: ArchitectureChange) {
  const of = { queryHeads: 4, kvHeads: 2, variety };
  const { block, graph } = attentionGraph(op, of, { kvCache: true });
  const run = await backend.compile(graph);
  const size = { kvGroups: 2 };
  const { headDim } = headsOf(block, size);
  const weights = weightsOf(block, size);
  const hidden = values(47 * HIDDEN, 21);
  const whole = expectedAttention(block, size, weights, hidden);
  let [keys, past] = [new Float32Array(0), new Float32Array(0)];
  let done = 0;
  for (const step of [3, 1, 1, 2, 35, 1, 4]) {
    const [from, to] = [done * HIDDEN, (done + step) * HIDDEN];
    const fetches = await run.run({
      ...weights.feeds,
      ...rotaryTable(headDim).feeds,
      ...positionFeeds(op, 1, done, step),
      hidden: float32(hidden.subarray(from, to), [1, step, HIDDEN]),
      past_key: float32(keys, [1, 2, done, headDim]),
      past_value: float32(past, [1, 2, done, headDim]),
    });
    const out = float32Data(fetches, "out");
    const difference = maxAbsDifference(out, whole.subarray(from, to));
    assert.ok(difference < TOLERANCE, `after ${done} tokens: ${difference}`);
    keys = new Float32Array(float32Data(fetches, "present_key"));
    past = new Float32Array(float32Data(fetches, "present_value"));
    done += step;
    assert.deepEqual(fetches.present_key.dims, [1, 2, done, headDim]);
  }
}

const WINDOW: ArchitectureChange = { attention: { window: 4 } };

const MLPS: readonly [what: string, variety: ArchitectureChange][] = [
  ["", {}],
  [" with biases", BIASED],
  [" with its norm behind it", { placement: "post" }],
];

const ATTENTIONS: readonly [what: string, of: AttentionCase][] = [
  ["grouped heads", { queryHeads: 6, kvHeads: 2 }],
  ["one KV head", { queryHeads: 4, kvHeads: 1 }],
  ["as many KV heads as query heads", { queryHeads: 3, kvHeads: 3 }],
  ["biases", { queryHeads: 4, kvHeads: 2, variety: BIASED }],
  ["q/k norms by head", { queryHeads: 4, kvHeads: 2, variety: { qkNorm: true } }],
  ["q/k norms over all heads", { queryHeads: 4, kvHeads: 2, variety: { qkNorm: "full" } }],
  ["its norm behind it", { queryHeads: 4, kvHeads: 2, variety: { placement: "post" } }],
  ["a window of 4", { queryHeads: 4, kvHeads: 2, variety: WINDOW }],
  ["a window of 1", { queryHeads: 4, kvHeads: 2, variety: { attention: { window: 1 } } }],
];

/**
 * That blocks of every make are computed rightly, by every operator that an engine does not refuse.
 */
export function testBlocks(
  test: (what: string, body: (backend: Backend) => Promise<void>) => void,
  refusal: (backend: Backend, onnx: Uint8Array, op: string) => Promise<void>,
  refuses: readonly AttentionOperator[],
) {
  for (const [what, variety] of MLPS) {
    test(
      `MLP block${what}, any width and length in one executable`,
      (backend) => checkMlp(backend, variety),
    );
  }
  for (const op of refuses) {
    const { graph } = attentionGraph(op, { queryHeads: 4, kvHeads: 2 });
    test(
      `attention block by ${op} is refused`,
      (backend) => refusal(backend, graph, ATTENTION_OPERATORS[op]),
    );
  }
  for (const op of ["gqa", "attention", "plain"] as const) {
    if ((refuses as readonly AttentionOp[]).includes(op)) continue;
    for (const [what, of] of ATTENTIONS) {
      test(`attention block by ${op}, ${what}`, (backend) => checkAttention(backend, op, of));
    }
    for (const [what, variety] of [["", {}], [" beyond a window", WINDOW]] as const) {
      test(`attention block by ${op}, a KV cache continues a text${what}`, (backend) =>
        checkCache(backend, op, variety));
    }
    if (op === "gqa") continue;
    const odd = { headDim: 6, qkNorm: "full" } as const;
    test(`attention block by ${op}, odd head size and changing head counts in one executable`, (backend) =>
      checkAttention(backend, op, { queryHeads: 6, kvHeads: 3, variety: odd }, [2, 1, 3]));
  }
}
