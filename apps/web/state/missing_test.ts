import assert from "node:assert/strict";
import { missingIn } from "./missing.ts";

const WHOLE = {
  isSecureContext: true,
  Symbol,
  Float16Array,
  navigator: { storage: { getDirectory: () => {} }, locks: {} },
};

Deno.test("page: a browser that lacks something is told so in a sentence", () => {
  assert.equal(missingIn(WHOLE), null);
  assert.match(
    missingIn({ ...WHOLE, isSecureContext: false })!,
    /over HTTPS, or from this computer/,
  );
  const others = [
    { Symbol: {} },
    { Float16Array: undefined },
    { navigator: {} },
    { navigator: { ...WHOLE.navigator, storage: {} } },
    { navigator: { ...WHOLE.navigator, locks: undefined } },
  ];
  for (const other of others) {
    assert.match(missingIn({ ...WHOLE, ...other })!, /^This browser lacks something/);
  }
});
