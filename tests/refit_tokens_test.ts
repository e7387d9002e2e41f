import { REFIT_TOKENS, refitEquationBytes, refitKeptBytes, refitTokens } from "@lopper/recovery";
import { denseShape, headsOf, withShape } from "@lopper/core";
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

Deno.test("recovery: equations need memory for the widest block, and for what experts add", () => {
  const narrow = withWidth(512);
  const { hiddenSize } = narrow;
  const equations = refitEquationBytes(narrow, 64);
  assert.equal(equations, 4 * (3 * 512 ** 2 + 8 * 512 * hiddenSize));
  assert.equal(equations, refitEquationBytes(narrow, 128));
  const mixture = { ...narrow, blocks: [...narrow.blocks, MIXTURE] };
  const batch = refitEquationBytes(mixture, 128) - refitEquationBytes(mixture, 64);
  assert.equal(batch, 4 * 3 * 64 * hiddenSize, "a token goes to three experts");
});

Deno.test("recovery: hidden states are kept of both texts in both models, local fits of each ridge", () => {
  const architecture = tinyArchitecture(3);
  const { hiddenSize } = architecture;
  const texts = { calibration: 100, validation: 40, outputs: 1000 };
  const along = refitKeptBytes(architecture, { ...texts, way: "auto" });
  assert.equal(along, 4 * (2 * 100 + 2 * 20) * hiddenSize);
  const local = refitKeptBytes(architecture, { ...texts, way: "local" });
  assert.equal(local, along + 3 * 1000 + 1000, "and what they take the place of");
  assert.equal(refitKeptBytes(architecture, { ...texts, way: "both" }), local);
});
