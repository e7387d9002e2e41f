/** Puts one block of values into bytes: its scales, then its codes. */
export type BlockEncoder = (
  values: Float32Array,
  from: number,
  out: Uint8Array,
  at: number,
  /** How much the square of each value's error counts; absent for what llama.cpp has for it. */
  weights?: Float32Array | null,
) => void;

/**
 * A quantised type as what its blocks can say. A block has parts that lie one behind the other;
 * each has a line of its own, value = step · code + offset, for codes from 0 on.
 */
export interface BlockGrid {
  /** Values of a row that are a block. */
  readonly values: number;
  readonly bytes: number;
  /** Values of a block that share a line. */
  readonly part: number;
  /** How many codes there are. */
  readonly codes: number;
  /**
   * Rounding to nearest, bit for bit as llama.cpp's reference quantiser does where no weights are
   * given. An encoder has memory of its own to work in, and is used for one block after the other.
   */
  encoder(): BlockEncoder;
  /** Reads the lines of a block's parts from its bytes, as float32 has their products. */
  lines(block: Uint8Array, at: number, steps: Float32Array, offsets: Float32Array): void;
  /** Writes other codes into a block, whose lines stay. */
  place(codes: Uint8Array, out: Uint8Array, at: number): void;
}

/**
 * Values in blocks of a type, each rounded to the nearest of what its block can say.
 * @throws {TypeError} when they are not whole blocks.
 */
export function encodeBlocks(grid: BlockGrid, values: Float32Array): Uint8Array {
  const blocks = values.length / grid.values;
  if (!Number.isInteger(blocks)) {
    throw new TypeError(`${values.length} values are not whole blocks of ${grid.values}`);
  }
  const out = new Uint8Array(blocks * grid.bytes);
  const encode = grid.encoder();
  for (let block = 0; block < blocks; block++) {
    encode(values, block * grid.values, out, block * grid.bytes);
  }
  return out;
}
