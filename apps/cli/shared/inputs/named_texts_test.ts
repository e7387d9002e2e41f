import { CALIBRATION_TEXTS } from "@lopper/calibration-texts";
import { BOOKS, MIX } from "@lopper/run";
import assert from "node:assert/strict";
import { filesOfText } from "./named_texts.ts";
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

Deno.test("named texts: anything else is a file", () => {
  assert.deepEqual(filesOfText("/texts/mix"), [{ path: "/texts/mix" }]);
});
