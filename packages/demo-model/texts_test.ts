import assert from "node:assert/strict";
import { CALIBRATION_TEXT, DEMO_SAMPLES, HELD_OUT_TEXT } from "./mod.ts";

Deno.test("the calibration text is passages that differ, and prose to the last one", async () => {
  const lines = (await Deno.readTextFile(CALIBRATION_TEXT)).trimEnd().split("\n");
  const passages = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  assert.ok(passages.length > 10 * (DEMO_SAMPLES.block + DEMO_SAMPLES.width));
  assert.equal(new Set(passages).size, passages.length);
  for (const passage of passages) {
    const words = passage.toLowerCase().split(/[^a-z]+/).filter((word) => word !== "");
    assert.ok(words.length >= 80, passage);
    // A passage that repeats one word over and over (as a slip in the script once wrote) is no
    // text.
    assert.ok(new Set(words).size > words.length / 5, passage);
  }
});

Deno.test("the calibration text shares no line with the held-out text", async () => {
  const heldOut = await Deno.readTextFile(HELD_OUT_TEXT);
  const calibration = await Deno.readTextFile(CALIBRATION_TEXT);
  for (const paragraph of heldOut.split("\n\n").filter((text) => text.length > 40)) {
    assert.ok(!calibration.includes(JSON.stringify(paragraph.trim()).slice(1, -1)), paragraph);
  }
});
