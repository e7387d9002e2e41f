import { ATTENTION_OPS } from "@lopper/backends";
import { ATTENTIONS } from "@lopper/backends/testing";
import { type Block, headsOf } from "@lopper/core";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { attentionOpFor, slowerAttention } from "./attention_op.ts";

/** Two layers of which the first one's attention is that of a case. */
function architectureOf(what: keyof typeof ATTENTIONS) {
  const { queryHeads, kvHeads, variety, change = (block) => block } = ATTENTIONS[what];
  const layer = { attention: { queryHeads, kvHeads }, mlp: { intermediateSize: 8 } };
  const architecture = architectureOfLayers([layer, layer], { headDim: 16, ...variety });
  const { blocks: [first, ...others] } = architecture;
  return { ...architecture, blocks: [change(first), ...others] };
}

Deno.test("attention operators: the fastest one that has all of a block", () => {
  const ops = (what: keyof typeof ATTENTIONS, tokens?: number) => {
    const { blocks: [block] } = architectureOf(what);
    return Object.values(ATTENTION_OPS).map((attentionOp) =>
      attentionOpFor(block, { attentionOp }, tokens)
    );
  };
  assert.deepEqual(ops("grouped heads"), ["gqa", "attention", "attention", "plain"]);
  assert.deepEqual(ops("capped scores"), ["gqa", "attention", "attention", "plain"]);
  assert.deepEqual(ops("a small part rotated"), ["attention", "attention", "attention", "plain"]);
  assert.deepEqual(ops("sinks"), ["gqa", "plain", "plain", "plain"]);
  assert.deepEqual(ops("slopes by distance"), ["plain", "plain", "plain", "plain"]);
  // those of a short text do not grow
  const growing = "queries that grow from token 4 on";
  assert.deepEqual(ops(growing, 4), ["gqa", "attention", "attention", "plain"]);
  assert.deepEqual(ops(growing, 5), ["attention", "attention", "attention", "plain"]);
  assert.deepEqual(ops(growing), ["attention", "attention", "attention", "plain"]);
});

Deno.test("attention operators: what does without the fastest is said in a line", () => {
  assert.deepEqual(slowerAttention(architectureOf("a window of 4")), []);
  assert.deepEqual(slowerAttention(architectureOf("sinks")), [
    "on wasm and cuda, 1 layer attends by slower operators: the fastest one does not compute " +
    "attention sinks",
  ]);
  assert.deepEqual(slowerAttention(architectureOf("capped scores")), [
    "on cuda, all layers attend by slower operators: the fastest one does not compute capped scores",
  ]);
  const { blocks: [block, mlp], ...rest } = architectureOf("a small part rotated");
  assert.deepEqual(slowerAttention({ ...rest, blocks: [block, mlp] as readonly Block[] }), [
    "on cpu, all layers attend by slower operators: the fastest one does not compute a rotation of 6 channels",
  ]);
  assert.equal(headsOf(block).headDim, 16);
  assert.deepEqual(slowerAttention(architectureOf("queries that grow from token 4 on")), [
    "on cpu, all layers attend in texts of more than 4 tokens by slower operators: the fastest one " +
    "does not compute queries that grow",
  ]);
});
