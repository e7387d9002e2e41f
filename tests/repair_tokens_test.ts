import { REPAIR_TOKENS, repairBytes, repairTokens } from "@lopper/recovery";
import assert from "node:assert/strict";
import { tinySpec } from "@lopper/search/testing";

/** A spec whose MLPs have so many channels in one layer, and fewer in the others. */
function withWidth(intermediateSize: number) {
  const spec = tinySpec(3);
  const layers = spec.layers.map((layer, i) =>
    i === 1 ? { ...layer, mlp: { intermediateSize } } : layer
  );
  return { ...spec, layers };
}

Deno.test("recovery: 32 tokens are learnt from for each input of the widest projection, up to the most", () => {
  assert.equal(repairTokens(withWidth(512)), 16_384);
  assert.equal(repairTokens(withWidth(1_024)), REPAIR_TOKENS);
  assert.equal(repairTokens(withWidth(11_008)), REPAIR_TOKENS);
  const { layers, headDim } = tinySpec(3);
  const heads = layers[0].attention!.queryHeads * headDim;
  const headsOnly = { ...tinySpec(3), layers: layers.map((layer) => ({ ...layer, mlp: null })) };
  assert.equal(repairTokens(headsOnly), 32 * heads, "attention has a projection, too");
  const none = layers.map(() => ({ attention: null, mlp: null }));
  assert.ok(repairTokens({ ...tinySpec(3), layers: none }) > 0);
});

Deno.test("recovery: the memory for hidden states is for the tokens that are learnt from, and no more", () => {
  const narrow = withWidth(512);
  const wider = { ...narrow, hiddenSize: narrow.hiddenSize + 1 };
  const more = repairBytes(wider) - repairBytes(narrow);
  assert.ok(more >= 4 * repairTokens(narrow));
  assert.ok(more < 4 * 3 * REPAIR_TOKENS);
});
