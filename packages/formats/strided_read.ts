import {
  placeOf,
  rowsOf,
  type Strided,
  type StridedRows,
  type Values,
  valuesOf,
} from "./strided.ts";

/**
 * Bytes of stored rows that are read and turned at a time, where they are no longer than that.
 */
const CHUNK_BYTES = 1024 * 1024;

/** Reads bytes of what values lie in. */
export type Read = (byteOffset: number, byteLength: number) => Promise<Uint8Array>;

/**
 * Reads part of a tensor whose values lie among others, row-major. Values behind one another are
 * read as one range; of a transpose, stored rows are read and turned a MiB at a time, and nothing
 * of them is kept.
 * @param width bytes of a value.
 */
export async function readStrided(
  read: Read,
  width: number,
  strided: Strided,
  byteOffset: number,
  byteLength: number,
): Promise<Uint8Array> {
  const rows = rowsOf(strided);
  const rowBytes = rows.columns.length * width;
  if (rows.turned) {
    const first = Math.floor(byteOffset / rowBytes);
    const end = Math.ceil((byteOffset + byteLength) / rowBytes);
    const start = byteOffset - first * rowBytes;
    const turned = await readTurned(read, width, rows, first, end);
    return turned.subarray(start, start + byteLength);
  }
  const places = { start: rows.start, axes: [...rows.outer, rows.rows] };
  const at = (byte: number) =>
    placeOf(places, Math.floor(byte / rowBytes)) * width + byte % rowBytes;
  if (byteOffset % rowBytes + byteLength <= rowBytes) return await read(at(byteOffset), byteLength);
  const out = new Uint8Array(byteLength);
  for (let done = 0; done < byteLength;) {
    const byte = byteOffset + done;
    const length = Math.min(rowBytes - byte % rowBytes, byteLength - done);
    out.set(await read(at(byte), length), done);
    done += length;
  }
  return out;
}

/** Rows `first` to `end` of those whose values lie in stored columns. */
async function readTurned(
  read: Read,
  width: number,
  { start, outer, rows, columns }: StridedRows,
  first: number,
  end: number,
): Promise<Uint8Array> {
  const out = new Uint8Array((end - first) * columns.length * width);
  const values = valuesOf(out, width);
  for (let row = first; row < end;) {
    const inner = row % rows.length;
    const count = Math.min(rows.length - inner, end - row);
    const around = placeOf({ start, axes: outer }, Math.floor(row / rows.length));
    const slab = { start: around + inner * rows.stride, rows: { ...rows, length: count }, columns };
    await readSlab(read, width, slab, values.subarray((row - first) * columns.length));
    row += count;
  }
  return out;
}

async function readSlab(
  read: Read,
  width: number,
  { start, rows, columns }: Pick<StridedRows, "start" | "rows" | "columns">,
  out: Values,
) {
  const span = (rows.length - 1) * rows.stride + 1;
  // Most of each stored row is read together with its neighbours; a small part of it, alone.
  const chunk = span < columns.stride / 4
    ? 1
    : Math.max(1, Math.floor(CHUNK_BYTES / (Math.max(1, columns.stride) * width)));
  for (let column = 0; column < columns.length; column += chunk) {
    const count = Math.min(chunk, columns.length - column);
    const bytes = await read(
      (start + column * columns.stride) * width,
      ((count - 1) * columns.stride + span) * width,
    );
    const stored = valuesOf(bytes, width);
    for (let row = 0; row < rows.length; row++) {
      const from = row * rows.stride;
      for (let i = 0, to = row * columns.length + column; i < count; i++) {
        out[to + i] = stored[i * columns.stride + from];
      }
    }
  }
}
