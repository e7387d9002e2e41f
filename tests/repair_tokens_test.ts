import { REPAIR_TOKENS, repairBytes, repairTokens } from "@lopper/recovery";
import { denseShape, headsOf, withShape } from "@lopper/core";
import assert from "node:assert/strict";
import { tinySpec } from "@lopper/search/testing";

/** A model whose MLPs have so many channels in one layer, and fewer in the others. */
function withWidth(channels: number) {
  const spec = tinySpec(3);
  return withShape(spec, denseShape(spec.blocks).with(3, { channels }));
}

Deno.test("recovery: 32 tokens are learnt from for each input of the widest projection, up to the most", () => {
  assert.equal(repairTokens(withWidth(512)), 16_384);
  assert.equal(repairTokens(withWidth(1_024)), REPAIR_TOKENS);
  assert.equal(repairTokens(withWidth(11_008)), REPAIR_TOKENS);
  const spec = tinySpec(3);
  const { queryHeads, headDim } = headsOf(spec.blocks[0]);
  const headsOnly = denseShape(spec.blocks).map((size) => size?.channels ? null : size);
  const found = repairTokens(withShape(spec, headsOnly));
  assert.equal(found, 32 * queryHeads * headDim, "attention has a projection, too");
  assert.ok(repairTokens(withShape(spec, spec.blocks.map(() => null))) > 0);
});

Deno.test("recovery: the memory for hidden states is for the tokens that are learnt from, and no more", () => {
  const narrow = withWidth(512);
  const wider = { ...narrow, hiddenSize: narrow.hiddenSize + 1 };
  const more = repairBytes(wider) - repairBytes(narrow);
  assert.ok(more >= 4 * repairTokens(narrow));
  assert.ok(more < 4 * 3 * REPAIR_TOKENS);
});
