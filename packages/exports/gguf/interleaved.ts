/** Rows of each head with its two halves interleaved: row j goes to 2j, row j + d/2 to 2j + 1. */
export function interleavedRows(bytes: Uint8Array, rowBytes: number, headRows: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const rows = bytes.length / rowBytes;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headRows;
    const half = headRows / 2;
    const to = row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
    out.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}
