import { REFIT_TOKENS, refitBytes, refitTokens } from "@lopper/recovery";
import { denseShape, headsOf, innerWidth, sizeOf, withShape } from "@lopper/core";
import assert from "node:assert/strict";
import { tinyArchitecture } from "@lopper/search/testing";
import { MIXTURE } from "./support/mixture.ts";

/** A model whose MLPs have so many channels in one layer, and fewer in the others. */
function withWidth(channels: number) {
  const architecture = tinyArchitecture(3);
  return withShape(architecture, denseShape(architecture.blocks).with(3, { channels }));
}

Deno.test("recovery: 32 tokens are learnt from for each input of the widest projection, up to the most", () => {
  assert.equal(refitTokens(withWidth(512)), 16_384);
  assert.equal(refitTokens(withWidth(1_024)), REFIT_TOKENS);
  assert.equal(refitTokens(withWidth(11_008)), REFIT_TOKENS);
  const architecture = tinyArchitecture(3);
  const { queryHeads, headDim } = headsOf(architecture.blocks[0]);
  const headsOnly = denseShape(architecture.blocks).map((size) => size?.channels ? null : size);
  const found = refitTokens(withShape(architecture, headsOnly));
  assert.equal(found, 32 * queryHeads * headDim, "attention has a projection, too");
  assert.ok(refitTokens(withShape(architecture, architecture.blocks.map(() => null))) > 0);
});

Deno.test("recovery: the memory for hidden states is for the tokens that are learnt from, and no more", () => {
  const narrow = withWidth(512);
  const wider = { ...narrow, hiddenSize: narrow.hiddenSize + 1 };
  const more = refitBytes(wider, 64, "auto") - refitBytes(narrow, 64, "auto");
  assert.ok(more >= 4 * refitTokens(narrow));
  assert.ok(more < 4 * 3 * REFIT_TOKENS);
  assert.equal(refitBytes(narrow, 64, "auto"), refitBytes(narrow, 128, "auto"));
  const mixture = { ...narrow, blocks: [...narrow.blocks, MIXTURE] };
  const batch = refitBytes(mixture, 128, "auto") - refitBytes(mixture, 64, "auto");
  assert.equal(batch, 4 * 3 * 64 * narrow.hiddenSize, "a token goes to three experts");
});

Deno.test("recovery: local fits need memory for every output projection, once for each ridge", () => {
  const architecture = tinyArchitecture(3);
  const { blocks, hiddenSize } = architecture;
  const rows = blocks.reduce((sum, block) => sum + innerWidth(block, sizeOf(block)), 0);
  const along = refitBytes(architecture, 64, "auto");
  assert.equal(refitBytes(architecture, 64, "local"), along + 4 * 3 * rows * hiddenSize);
  assert.equal(refitBytes(architecture, 64, "both"), refitBytes(architecture, 64, "local"));
});
