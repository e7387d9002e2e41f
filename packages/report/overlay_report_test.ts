import assert from "node:assert/strict";
import { overlayReport } from "./mod.ts";
import { calibrationCurve, heldOutCurve } from "./overlay_plot.ts";
import { all, faultsOf, readPage, tableOf, textOf } from "./testing/read_page.ts";
import { tinyRun } from "./testing/run.ts";

const first = tinyRun();
const second = tinyRun({
  ratio: 12,
  frontier: first.record.frontier.slice(0, 1).map((step) => ({ ...step, heldOut: null })),
  perplexity: { calibration: { dense: 20, pruned: 21 }, heldOut: { dense: 40, pruned: 42 } },
});

Deno.test("overlay: runs stand side by side, with what they differ in", async () => {
  const other = {
    ...second,
    name: "<tiny-12>",
    record: { ...second.record, flags: { ...second.record.flags, ratio: 12, heldOut: null } },
  };
  const page = readPage(await overlayReport([first, other]));
  assert.deepEqual(faultsOf(page), []);
  assert.equal(textOf(all(page, "h1")[0]), "2 runs side by side");
  const rows = tableOf(page, "What each run removed, and what it did").slice(1);
  assert.deepEqual(rows.map((row) => row.slice(0, 7)), [
    ["tiny-20", "tiny", "21.50 %", "78,000", "46.00", "+15.0 %", "+10.0 %"],
    ["<tiny-12>", "tiny", "12.00 %", "78,000", "42.00", "+5.0 %", "+5.0 %"],
  ]);
  assert.deepEqual(tableOf(page, "Settings that are not the same in all runs"), [
    ["setting", "tiny-20", "<tiny-12>"],
    ["ratio", "20", "12"],
    ["held out", "/texts/held_out.txt", "–"],
  ]);
  assert.equal(all(page, "pre").length, 2);
  assert.doesNotMatch(textOf(page), /with care/);

  const elsewhere = { ...other, record: { ...other.record, heldOutDigest: "sha256:0" } };
  assert.match(textOf(readPage(await overlayReport([first, elsewhere]))), /with care/);
});

Deno.test("overlay: curves begin at the dense model, and say where only the ends were measured", () => {
  const rises = ({ points }: ReturnType<typeof heldOutCurve>) =>
    points.map(({ ratio, rise }) => [ratio, Math.round(rise * 1e6) / 1e6]);
  const held = heldOutCurve("a", first.record);
  assert.deepEqual(rises(held), [[0, 0], [12, 5], [16, 10], [21.5, 15]]);
  assert.ok(held.measured);
  const ends = heldOutCurve("b", second.record);
  assert.deepEqual(rises(ends), [[0, 0], [12, 5]]);
  assert.ok(!ends.measured);
  // channels and heads were scored on other passages: the end is measured on those of the blocks
  assert.deepEqual(rises(calibrationCurve("a", first.record)), [[0, 0], [12, 5], [21.5, 10]]);
  assert.deepEqual(rises(calibrationCurve("b", second.record)), [[0, 0], [12, 5]]);
});
