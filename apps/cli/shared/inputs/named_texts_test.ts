import { CALIBRATION_TEXTS, HELD_OUT_TEXTS } from "@lopper/calibration-texts";
import { everySample } from "@lopper/importance";
import { BOOKS, MIX } from "@lopper/run";
import assert from "node:assert/strict";
import { filesOfHeldOut, filesOfText } from "./named_texts.ts";
import { readSamples } from "./text_files.ts";

Deno.test("named texts: a mix has every kind that comes along, and books are one of them", async () => {
  const kinds = filesOfText(MIX);
  assert.deepEqual(
    kinds.map(({ name }) => name),
    ["books", ...Object.keys(CALIBRATION_TEXTS)],
  );
  assert.deepEqual(filesOfText(BOOKS), [kinds[0]]);
  // As many of each as a run with the usual samples learns from.
  for (const { path } of kinds) {
    assert.ok((await readSamples(path, assert.fail)).length > 60, path);
  }
});

Deno.test("named texts: what is held out has the same kinds, and no passage to calibrate on", async () => {
  const heldOut = filesOfHeldOut(MIX);
  assert.deepEqual(heldOut.map(({ name }) => name), ["books", ...Object.keys(HELD_OUT_TEXTS)]);
  assert.deepEqual(filesOfHeldOut(BOOKS), [heldOut[0]]);
  const passagesOf = async (path: string) =>
    await Array.fromAsync(everySample(await readSamples(path, assert.fail)));
  for (const [i, { path }] of filesOfText(MIX).entries()) {
    const calibration = new Set(await passagesOf(path));
    for (const passage of await passagesOf(heldOut[i].path)) {
      assert.ok(!calibration.has(passage), passage);
    }
  }
});

Deno.test("named texts: anything else is a file", () => {
  assert.deepEqual(filesOfText("/texts/mix"), [{ path: "/texts/mix" }]);
  assert.deepEqual(filesOfHeldOut("/texts/mix"), [{ path: "/texts/mix" }]);
});
