import { type Backend, type Executable, float32, float32Data } from "@lopper/backends";
import { gemm, type GemmOptions } from "@lopper/graphs";

/** A row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** `[rows, columns]` */
  readonly data: Float32Array;
}

export function matrix(rows: number, columns: number, data?: Float32Array): Matrix {
  return { rows, columns, data: data ?? new Float32Array(rows * columns) };
}

/** Consecutive rows of a matrix, as a view. */
export function rowsOf({ columns, data }: Matrix, start: number, end: number): Matrix {
  return matrix(end - start, columns, data.subarray(start * columns, end * columns));
}

/** A part of a matrix, as a copy: rows and columns from `start` to before `end`. */
export function partOf(
  { columns, data }: Matrix,
  [rowStart, rowEnd]: readonly [start: number, end: number],
  [start, end]: readonly [start: number, end: number],
): Matrix {
  const part = matrix(rowEnd - rowStart, end - start);
  for (let r = 0; r < part.rows; r++) {
    const row = (rowStart + r) * columns;
    part.data.set(data.subarray(row + start, row + end), r * part.columns);
  }
  return part;
}

/** Products of matrices on a backend. */
export class Products {
  readonly #backend: Backend;
  readonly #executables = new Map<string, Promise<Executable>>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** op(a) · op(b), plus `c` where there is one. */
  async product(
    a: Matrix,
    b: Matrix,
    options: Omit<GemmOptions, "add"> & { readonly add?: Matrix } = {},
  ): Promise<Matrix> {
    const { transA, transB, add: c } = options;
    const shape = { transA, transB, add: c !== undefined };
    const key = JSON.stringify(shape);
    let executable = this.#executables.get(key);
    if (!executable) this.#executables.set(key, executable = this.#backend.compile(gemm(shape)));
    const feed = ({ data, rows, columns }: Matrix) => float32(data, [rows, columns]);
    const fetches = await (await executable).run({
      a: feed(a),
      b: feed(b),
      ...(c && { c: feed(c) }),
    });
    return matrix(
      transA ? a.columns : a.rows,
      transB ? b.rows : b.columns,
      float32Data(fetches, "out"),
    );
  }

  async dispose() {
    for (const executable of this.#executables.values()) await (await executable).dispose();
    this.#executables.clear();
  }
}
