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

/** Rows lie so many of their own lengths apart at most to be read together. */
const MAX_BETWEEN = 4;

/** Reads bytes of what values lie in. */
export type Read = (byteOffset: number, byteLength: number) => Promise<Uint8Array>;

/**
 * Reads part of a tensor whose values lie among others, row-major. Values behind one another are
 * read as one range, and rows that take turns with a few others with these, a MiB at a time; of a
 * transpose, stored rows are read and turned as much at a time. Nothing of them is kept.
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
  const strideBytes = rows.rows.stride * width;
  for (let done = 0; done < byteLength;) {
    const byte = byteOffset + done;
    const left = byteLength - done;
    const inRow = Math.min(rowBytes - byte % rowBytes, left);
    const row = byte / rowBytes;
    const most = Math.min(rows.rows.length - row % rows.rows.length, Math.floor(left / rowBytes));
    const count = inRow < rowBytes ? 1 : Math.min(most, rowsTogether(rowBytes, strideBytes));
    const bytes = await read(at(byte), (count - 1) * strideBytes + inRow);
    for (let i = 0; i < count; i++) {
      const from = i * strideBytes;
      out.set(bytes.subarray(from, from + inRow), done + i * rowBytes);
    }
    done += (count - 1) * rowBytes + inRow;
  }
  return out;
}

/** How many rows are read at once: where little lies between them, as many as fit into a MiB. */
function rowsTogether(rowBytes: number, strideBytes: number): number {
  if (strideBytes < rowBytes || strideBytes > MAX_BETWEEN * rowBytes) return 1;
  return Math.max(1, Math.floor(CHUNK_BYTES / strideBytes));
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
