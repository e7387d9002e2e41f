import { type Block, type BlockSize, headsOf } from "@lopper/core";
import { type AttentionOp, blockGraph, type FedAttention, operatorLacks } from "@lopper/graphs";
import assert from "node:assert/strict";
import { type Backend, type Feeds, float32, float32Data, int32, int64 } from "../backend.ts";
import { type AttentionCase, ATTENTIONS, CACHED } from "./attention_cases.ts";
import { expectedAttention, rotaryTable } from "./attention_reference.ts";
import { blockOf, HIDDEN, NORM, toleranceOf, weightsOf } from "./blocks.ts";
import { maxAbsDifference } from "./reference.ts";
import { values } from "./values.ts";

/** The ways to compute attention that are an operator of their own, which an engine may lack. */
const ATTENTION_OPERATORS = { gqa: "GroupQueryAttention", attention: "Attention" } as const;
export type AttentionOperator = keyof typeof ATTENTION_OPERATORS;

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

function caseBlock(
  { queryHeads, kvHeads, variety = {}, change = (block) => block }: AttentionCase,
) {
  return change(blockOf({ attention: { queryHeads, kvHeads } }, variety));
}

function attentionGraph(op: AttentionOp, block: Block, more: Partial<FedAttention> = {}) {
  const [{ units }] = block.dimensions;
  const attention = {
    ...{ op, size: { kvGroups: units } },
    ...(block.attention!.window !== null && { windowed: true }),
    ...(block.attention!.queryGrowth && { grown: true }),
    ...more,
  };
  return blockGraph(block, { hiddenSize: HIDDEN, norm: NORM, attention });
}

/**
 * @param groups sizes that one executable is to run with.
 * @param chunks in which queries go, or 1.
 */
async function checkAttention(
  backend: Backend,
  op: AttentionOp,
  of: AttentionCase,
  { groups = [of.kvHeads], chunks = 1 }: { groups?: readonly number[]; chunks?: number } = {},
) {
  const block = caseBlock(of);
  const run = await backend.compile(attentionGraph(op, block, { chunks }));
  // engines have other kernels for longer texts
  const texts = [[1, 5], [3, 9], [2, 1], [2, 70]] as const;
  for (const kvGroups of groups) {
    const weights = weightsOf(block, { kvGroups });
    for (const [batch, length] of texts) {
      // The operator takes one sequence only in chunks, and no more chunks than tokens.
      if (chunks > length || (chunks > 1 && op === "gqa" && batch > 1)) continue;
      const hidden = values(batch * length * HIDDEN, 20);
      const fetches = await run.run({
        ...weights.feeds,
        ...rotaryTable(block).feeds,
        ...positionFeeds(op, batch, 0, length),
        hidden: float32(hidden, [batch, length, HIDDEN]),
      });
      const out = float32Data(fetches, "out");
      for (let b = 0; b < batch; b++) {
        const [from, to] = [b * length * HIDDEN, (b + 1) * length * HIDDEN];
        const expected = expectedAttention(block, { kvGroups }, weights, hidden.subarray(from, to));
        const difference = maxAbsDifference(out.subarray(from, to), expected);
        const what = `batch ${batch}, length ${length}: ${difference}`;
        assert.ok(difference < toleranceOf(block), what);
      }
    }
  }
}

/** A text in parts, each with the keys and values of those before it. */
async function checkCache(backend: Backend, op: AttentionOp, of: AttentionCase) {
  const block = caseBlock(of);
  const run = await backend.compile(attentionGraph(op, block, { kvCache: true }));
  const size: BlockSize = { kvGroups: of.kvHeads };
  const { headDim, kvHeads } = headsOf(block, size);
  const weights = weightsOf(block, size);
  const hidden = values(47 * HIDDEN, 21);
  const whole = expectedAttention(block, size, weights, hidden);
  let [keys, past] = [new Float32Array(0), new Float32Array(0)];
  let done = 0;
  for (const step of [3, 1, 1, 2, 35, 1, 4]) {
    const [from, to] = [done * HIDDEN, (done + step) * HIDDEN];
    const fetches = await run.run({
      ...weights.feeds,
      ...rotaryTable(block).feeds,
      ...positionFeeds(op, 1, done, step),
      hidden: float32(hidden.subarray(from, to), [1, step, HIDDEN]),
      past_key: float32(keys, [1, kvHeads, done, headDim]),
      past_value: float32(past, [1, kvHeads, done, headDim]),
    });
    const out = float32Data(fetches, "out");
    const difference = maxAbsDifference(out, whole.subarray(from, to));
    assert.ok(difference < toleranceOf(block), `after ${done} tokens: ${difference}`);
    keys = new Float32Array(float32Data(fetches, "present_key"));
    past = new Float32Array(float32Data(fetches, "present_value"));
    done += step;
    assert.deepEqual(fetches.present_key.dims, [1, kvHeads, done, headDim]);
  }
}

/** What is masked says itself what a token sees: here, two texts side by side in one row. */
async function checkMasked(backend: Backend, of: AttentionCase) {
  const block = caseBlock(of);
  const run = await backend.compile(
    attentionGraph("plain", block, { masked: true, windowed: false }),
  );
  const size: BlockSize = { kvGroups: of.kvHeads };
  const weights = weightsOf(block, size);
  const lengths = [6, 9];
  const total = lengths[0] + lengths[1];
  const hidden = values(total * HIDDEN, 22);
  const textOf = (token: number) => token < lengths[0] ? 0 : 1;
  const positions = Array.from({ length: total }, (_, i) => i - textOf(i) * lengths[0]);
  const window = block.attention!.window ?? Infinity;
  const mask = Float32Array.from({ length: total * total }, (_, i) => {
    const [query, key] = [Math.floor(i / total), i % total];
    const isSeen = textOf(query) === textOf(key) && key <= query && key > query - window;
    return isSeen ? 0 : -1e30;
  });
  const fetches = await run.run({
    ...weights.feeds,
    ...rotaryTable(block).feeds,
    positions: int64(positions, [1, total]),
    mask: float32(mask, [1, 1, total, total]),
    hidden: float32(hidden, [1, total, HIDDEN]),
  });
  const out = float32Data(fetches, "out");
  for (const [from, to] of [[0, lengths[0]], [lengths[0], total]]) {
    const part = hidden.subarray(from * HIDDEN, to * HIDDEN);
    const expected = expectedAttention(block, size, weights, part);
    const difference = maxAbsDifference(out.subarray(from * HIDDEN, to * HIDDEN), expected);
    assert.ok(difference < toleranceOf(block), `tokens ${from} to ${to}: ${difference}`);
  }
}

/** That attention of every make is computed rightly, by every operator that is not refused. */
export function testAttention(
  test: (what: string, body: (backend: Backend) => Promise<void>) => void,
  refusal: (backend: Backend, onnx: Uint8Array, op: string) => Promise<void>,
  refuses: readonly AttentionOperator[],
) {
  for (const op of refuses) {
    const graph = attentionGraph(op, caseBlock({ queryHeads: 4, kvHeads: 2 }));
    test(
      `attention block by ${op} is refused`,
      (backend) => refusal(backend, graph, ATTENTION_OPERATORS[op]),
    );
  }
  for (const op of ["gqa", "attention", "plain"] as const) {
    if ((refuses as readonly AttentionOp[]).includes(op)) continue;
    const takes = (of: AttentionCase) => operatorLacks(op, caseBlock(of)) === null;
    for (const [what, of] of Object.entries(ATTENTIONS).filter(([, of]) => takes(of))) {
      test(`attention block by ${op}, ${what}`, (backend) => checkAttention(backend, op, of));
    }
    for (const what of CACHED.filter((what) => takes(ATTENTIONS[what]))) {
      const of = ATTENTIONS[what];
      test(`attention block by ${op}, a KV cache continues a text with ${what}`, (backend) =>
        checkCache(backend, op, of));
      if (op === "plain") {
        test(`attention block by plain, tokens see what a mask says, ${what}`, (backend) =>
          checkMasked(backend, of));
      } else {
        test(`attention block by ${op}, queries in chunks, ${what}`, (backend) =>
          checkAttention(backend, op, of, { chunks: 3 }));
      }
    }
    if (op === "gqa") continue;
    const odd = { headDim: 6, qkNorm: "full" } as const;
    const of = { queryHeads: 6, kvHeads: 3, variety: odd };
    test(`attention block by ${op}, odd head size and changing head counts in one executable`, (backend) =>
      checkAttention(backend, op, of, { groups: [2, 1, 3] }));
  }
}
