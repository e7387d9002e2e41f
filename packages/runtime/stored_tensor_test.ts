import assert from "node:assert/strict";
import { Random } from "../../tests/support/tiny_models.ts";
import { gatherColumnsAsRows, gatherRows, type StoredTensor } from "./stored_tensor.ts";

/** A `[rows, columns]` matrix of random values of either kind. */
function matrix(rows: number, columns: number, dtype: "F32" | "F16", random: Random): StoredTensor {
  const values = Array.from({ length: rows * columns }, () => random.int(0, 65_535));
  return dtype === "F32"
    ? { dtype, data: Float32Array.from(values) }
    : { dtype, data: Uint16Array.from(values) };
}

for (const dtype of ["F32", "F16"] as const) {
  Deno.test(`stored tensors: rows and columns of ${dtype} are gathered in the order asked for`, () => {
    const random = new Random(7);
    // below, at, above and at several times the rows that are transposed together
    for (const [rows, columns] of [[1, 1], [63, 5], [64, 3], [65, 7], [200, 11], [3, 130]]) {
      const tensor = matrix(rows, columns, dtype, random);
      const at = (row: number, column: number) => tensor.data[row * columns + column];

      const rowOrder = random.shuffled(rows);
      const byRow = gatherRows(tensor, columns, Uint32Array.from(rowOrder));
      assert.equal(byRow.dtype, dtype);
      assert.deepEqual(
        [...byRow.data],
        rowOrder.flatMap((row) => Array.from({ length: columns }, (_, column) => at(row, column))),
      );

      const columnOrder = random.shuffled(columns);
      const byColumn = gatherColumnsAsRows(tensor, columns, Uint32Array.from(columnOrder));
      assert.equal(byColumn.dtype, dtype);
      assert.deepEqual(
        [...byColumn.data],
        columnOrder.flatMap((column) => Array.from({ length: rows }, (_, row) => at(row, column))),
      );
    }
  });
}
