/** An axis of a tensor whose values lie among others. */
export interface StridedAxis {
  readonly length: number;
  /** Values from one entry to the next. */
  readonly stride: number;
}

/** Where the values of a tensor lie among others: from `start` on, row-major over the axes. */
export interface Strided {
  readonly start: number;
  readonly axes: readonly StridedAxis[];
}

/**
 * The same places with rows of one kind: values behind one another (`turned` false), or columns
 * that lie further from one another than the rows do, as in a stored transpose.
 */
export interface StridedRows {
  readonly start: number;
  /** The axes around the rows. */
  readonly outer: readonly StridedAxis[];
  readonly rows: StridedAxis;
  readonly columns: StridedAxis;
  readonly turned: boolean;
}

/** How many values there are. */
export function countOf({ axes }: Strided): number {
  return axes.reduce((product, { length }) => product * length, 1);
}

/** The fewest axes that say the same, and what their rows are. */
export function rowsOf({ start, axes }: Strided): StridedRows {
  const merged: StridedAxis[] = [];
  for (const axis of axes) {
    const before = merged.at(-1);
    if (axis.length === 1) continue;
    if (before?.stride === axis.length * axis.stride) {
      merged[merged.length - 1] = { length: before.length * axis.length, stride: axis.stride };
    } else merged.push(axis);
  }
  const one: StridedAxis = { length: 1, stride: 0 };
  const last = merged.at(-1) ?? { length: 1, stride: 1 };
  const before = merged.at(-2);
  if (last.stride === 1) {
    return {
      ...{ start, rows: before ?? one, columns: last, turned: false },
      outer: merged.slice(0, -2),
    };
  }
  return before && before.stride < last.stride
    ? { start, rows: before, columns: last, turned: true, outer: merged.slice(0, -2) }
    : { start, rows: last, columns: one, turned: true, outer: merged.slice(0, -1) };
}

/** Whether they lie behind one another, as they are read. */
export function isContiguous(strided: Strided): boolean {
  const { outer, rows, turned } = rowsOf(strided);
  return !turned && outer.length === 0 && rows.length === 1;
}

/** Where a value lies, by its number. */
export function placeOf({ start, axes }: Strided, index: number): number {
  let place = start, rest = index;
  for (const { length, stride } of axes.toReversed()) {
    place += (rest % length) * stride;
    rest = Math.floor(rest / length);
  }
  return place;
}

const VALUES = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array } as const;
export type ValueBytes = keyof typeof VALUES;
export type Values = InstanceType<(typeof VALUES)[ValueBytes]>;

/**
 * Bytes as values of a width, copied where they lie askew.
 * @throws {TypeError} for values of another width.
 */
export function valuesOf(bytes: Uint8Array, width: number): Values {
  if (!(width in VALUES)) throw new TypeError(`values of ${width} bytes are not moved`);
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const View = VALUES[width as ValueBytes];
  return new View(aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / width);
}

/** Puts all values of a tensor, row-major, where they lie among others. */
export function placeValues(values: Values, strided: Strided, into: Values) {
  const { rows, columns, ...around } = rowsOf(strided);
  const outer = { start: around.start, axes: around.outer };
  let from = 0;
  for (let i = 0, n = countOf(outer); i < n; i++) {
    const start = placeOf(outer, i);
    for (let row = 0; row < rows.length; row++) {
      const to = start + row * rows.stride;
      if (!around.turned) into.set(values.subarray(from, from + columns.length), to);
      else {for (let c = 0; c < columns.length; c++) {
          into[to + c * columns.stride] = values[from + c];
        }}
      from += columns.length;
    }
  }
}
