import { type Matrix, matrix, Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { BLOCK_GRIDS, type BlockGrid, encodeBlocks } from "@lopper/formats";
import assert from "node:assert/strict";
import { Random } from "../../../tests/support/tiny_random.ts";
import { feedbackOf, roundedWithFeedback } from "./gptq.ts";

async function withProducts(use: (products: Products) => Promise<void>) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const products = new Products(backend);
  try {
    await use(products);
  } finally {
    await products.dispose();
    await backend[Symbol.asyncDispose]();
  }
}

function test(name: string, use: (products: Products) => Promise<void>) {
  const fn = () => withProducts(use);
  // The engine keeps a thread pool for the life of the process.
  Deno.test({ name: `gptq: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

const normal = (random: Random) =>
  [1, 2, 3, 4, 5, 6].reduce((sum) => sum + random.unit() - 0.5, 0) * Math.SQRT2;

/** The Gram matrix of inputs that have few directions and a little of their own. */
function gramOf(n: number, random: Random): Matrix {
  const gram = matrix(n, n);
  const directions = Array.from(
    { length: n / 8 },
    () => Array.from({ length: n }, () => normal(random)),
  );
  for (let sample = 0; sample < 4 * n; sample++) {
    const x = Array.from({ length: n }, () => 0.3 * normal(random));
    for (const direction of directions) {
      const share = normal(random) / 3;
      for (let i = 0; i < n; i++) x[i] += share * direction[i];
    }
    for (let r = 0; r < n; r++) for (let c = 0; c <= r; c++) gram.data[r * n + c] += x[r] * x[c];
  }
  return gram;
}

/** Steps of 0.1 throughout, whatever the values are; codes lie one in a byte. */
const FIXED: BlockGrid = {
  values: 32,
  bytes: 32,
  part: 32,
  codes: 255,
  encoder: () => () => {},
  lines: (_block, _at, steps, offsets) => {
    steps[0] = 0.1;
    offsets[0] = -12.7;
  },
  place: (codes, out, at) => out.set(codes, at),
};

/** Codes by the formulas as they stand, in double precision: the inverse is downdated by column. */
function plainCodes(weights: Float32Array, gram: Matrix): number[] {
  const n = gram.rows;
  const lower = (r: number, c: number) => gram.data[Math.max(r, c) * n + Math.min(r, c)];
  const trace = Array.from({ length: n }, (_, i) => lower(i, i)).reduce((sum, x) => sum + x, 0);
  const damped = Array.from(
    { length: n },
    (_, r) => Array.from({ length: n }, (_, c) => lower(r, c) + (r === c ? 0.3 * trace / n : 0)),
  );
  const H = inverseOf(damped);
  const w = [...weights];
  return w.map((_, i) => {
    const code = Math.max(0, Math.min(254, Math.round((w[i] + 12.7) / 0.1)));
    const error = (w[i] - (0.1 * code - 12.7)) / H[i][i];
    for (let j = i; j < n; j++) w[j] -= error * H[i][j];
    const row = [...H[i]];
    for (let r = i + 1; r < n; r++) {
      const factor = H[r][i] / row[i];
      for (let c = 0; c < n; c++) H[r][c] -= factor * row[c];
    }
    return code;
  });
}

/** By Gauss and Jordan. */
function inverseOf(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, c) => c === i ? 1 : 0)]);
  for (let i = 0; i < n; i++) {
    const pivot = rows[i][i];
    for (let c = 0; c < 2 * n; c++) rows[i][c] /= pivot;
    for (let r = 0; r < n; r++) {
      const factor = rows[r][i];
      if (r === i || factor === 0) continue;
      for (let c = 0; c < 2 * n; c++) rows[r][c] -= factor * rows[i][c];
    }
  }
  return rows.map((row) => row.slice(n));
}

test("codes are those of the plain formulas, over stripes, too", async (products) => {
  const random = new Random(5);
  const n = 288;
  const gram = gramOf(n, random);
  const weights = Float32Array.from({ length: 2 * n }, () => normal(random));
  const feedback = await feedbackOf(products, gram);
  const { bytes } = await roundedWithFeedback(products, FIXED, matrix(2, n, weights), feedback!);
  let off = 0;
  for (const row of [0, 1]) {
    const wanted = plainCodes(weights.subarray(row * n, (row + 1) * n), gram);
    wanted.forEach((code, i) => off += bytes[row * n + i] === code ? 0 : 1);
  }
  // A value halfway between two codes goes either way, and what comes behind it with it.
  assert.ok(off <= 0.02 * 2 * n, `${off} codes differ`);
});

/** tr(D H Dᵀ) of what rounding changed. */
function errorOf(found: Float32Array, weights: Matrix, gram: Matrix): number {
  const { rows, columns: n, data } = weights;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const d = Array.from({ length: n }, (_, i) => found[row * n + i] - data[row * n + i]);
    for (let r = 0; r < n; r++) {
      for (let c = 0; c <= r; c++) sum += (r === c ? 1 : 2) * d[r] * d[c] * gram.data[r * n + c];
    }
  }
  return sum;
}

function read(grid: BlockGrid, bytes: Uint8Array, codesOf: (at: number) => Uint8Array) {
  const parts = grid.values / grid.part;
  const [steps, offsets] = [new Float32Array(parts), new Float32Array(parts)];
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += grid.bytes) {
    grid.lines(bytes, at, steps, offsets);
    codesOf(at).forEach((code, i) => {
      const part = Math.floor(i / grid.part);
      values.push(steps[part] * code + offsets[part]);
    });
  }
  return Float32Array.from(values);
}

for (const [name, grid] of Object.entries(BLOCK_GRIDS)) {
  test(`${name}: what inputs make of a matrix changes less than with every value by itself`, async (products) => {
    const random = new Random(7);
    const n = 256;
    const gram = gramOf(n, random);
    // An input that is always zero, as channels behind a dead one are.
    for (let i = 0; i < n; i++) gram.data[9 * n + i] = gram.data[i * n + 9] = 0;
    const weights = matrix(8, n, Float32Array.from({ length: 8 * n }, () => 0.05 * normal(random)));
    const feedback = await feedbackOf(products, gram);
    const found = await roundedWithFeedback(products, grid, weights, feedback!);
    // Codes as the bytes have them: found by placing each in turn.
    const codesOf = (bytes: Uint8Array) => (at: number) => codesIn(grid, bytes, at);
    const kept = read(grid, found.bytes, codesOf(found.bytes));
    found.values.forEach((value, i) => assert.ok(Math.abs(value - kept[i]) < 1e-6));
    const nearest = encodeBlocks(grid, weights.data);
    const plain = errorOf(read(grid, nearest, codesOf(nearest)), weights, gram);
    const own = errorOf(found.values, weights, gram);
    assert.ok(own < 0.7 * plain, `${own}, and ${plain} with every value by itself`);
  });
}

/** The codes of a block: those that, written in its place, leave its bytes as they are. */
function codesIn(grid: BlockGrid, bytes: Uint8Array, at: number): Uint8Array {
  const block = bytes.slice(at, at + grid.bytes);
  const codes = new Uint8Array(grid.values);
  const empty = block.slice();
  grid.place(codes, empty, 0);
  // Every bit of a code has a place of its own, beside those of the others.
  const bits = Math.ceil(Math.log2(grid.codes));
  for (let i = 0; i < grid.values; i++) {
    if (grid.codes === 255) {
      codes[i] = block[2 + i] + 127;
      continue;
    }
    for (let bit = 0; bit < bits; bit++) {
      const one = new Uint8Array(grid.values);
      one[i] = 1 << bit;
      const placed = block.slice();
      grid.place(one, placed, 0);
      const place = placed.findIndex((byte, j) => byte !== empty[j]);
      const mask = placed[place] ^ empty[place];
      if ((block[place] & mask) !== 0) codes[i] |= 1 << bit;
    }
  }
  return codes;
}

test("what has no inputs has no feedback", async (products) => {
  assert.equal(await feedbackOf(products, matrix(4, 4)), null);
});
