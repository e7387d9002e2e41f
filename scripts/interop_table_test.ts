import assert from "node:assert/strict";
import {
  allCells,
  type Cell,
  cellKey,
  FP16_ALLOWED,
  isQuantised,
  LLAMA_CPP_FP16,
  OWN_QUANTISER,
  readResults,
  RESULTS,
  resultsJson,
} from "../tests/support/interop_results.ts";
import { interopTables, PAGE, withTables } from "./interop_table.ts";

const MAX_ABS: Readonly<Record<string, number>> = { fp32: 1e-3, fp16: FP16_ALLOWED };

const measured = (cells: readonly Cell[]) => cells.flatMap((cell) => "saw" in cell ? [cell] : []);

Deno.test("interop tables: docs/readers.md has what the results give", async () => {
  const page = await Deno.readTextFile(PAGE);
  const made = withTables(page, interopTables(await readResults()));
  assert.equal(page, made, "deno task interop:table writes them anew");
});

Deno.test("interop tables: the results are whole, in order, and within what is allowed", async () => {
  const cells = await readResults();
  assert.deepEqual(cells.map(cellKey), allCells().map(cellKey));
  assert.equal(await Deno.readTextFile(RESULTS), resultsJson(cells));
  for (const { weights, maxAbs, greedy, ...cell } of measured(cells)) {
    if (isQuantised(weights)) continue;
    const allowed = maxAbs! <= MAX_ABS[weights] || cell.note === LLAMA_CPP_FP16;
    assert.ok(allowed, cellKey({ weights, ...cell }));
    if (weights === "fp32" && !/^onnxruntime-/.test(cell.reader)) {
      assert.ok(greedy! >= 8, cellKey({ weights, ...cell }));
    }
  }
});

Deno.test("interop tables: quantised weights are no further than by the runtime's own quantiser", async () => {
  const cells = measured(await readResults());
  const own = cells.filter(({ reader }) => reader === OWN_QUANTISER);
  assert.equal(own.length, 20);
  for (const theirs of own) {
    const reader = theirs.format === "GGUF" ? "llama-cpp-python" : "onnxruntime";
    const key = cellKey({ ...theirs, reader });
    const ours = cells.find((cell) => cellKey(cell) === key)!;
    assert.ok(ours.meanKl! <= theirs.meanKl! && ours.sameTop >= theirs.sameTop, key);
    if (!isQuantised(theirs.weights)) assert.ok(ours.maxAbs! <= theirs.maxAbs!, key);
  }
});

Deno.test("interop tables: a missing result and two versions of a reader are refused", async () => {
  const cells = await readResults();
  assert.throws(() => interopTables(cells.slice(1)), /no result for what prune writes · fp16/);
  const [first, ...rest] = cells;
  assert.throws(() => interopTables([{ ...first, version: "0" }, ...rest]), /versions 0 and/);
});
