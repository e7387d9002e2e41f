import { determinant, Matrix } from "ml-matrix";
import { input, type NodeInputs, numbersOf, type Operator } from "./operator.ts";
import {
  along,
  axisOf,
  broadcastDims,
  broadcastPlaces,
  sizeOf,
  type Tensor,
  tensor,
} from "./tensor.ts";

/** A `[n, k]` · b `[k, m]`; `stepB` says how b's rows and columns lie. */
function product(
  a: Float64Array,
  b: Float64Array,
  [n, k, m]: readonly [number, number, number],
  steps: { readonly a: readonly [number, number]; readonly b: readonly [number, number] },
): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) {
        sum += a[i * steps.a[0] + l * steps.a[1]] * b[l * steps.b[0] + j * steps.b[1]];
      }
      out[i * m + j] = sum;
    }
  }
  return out;
}

/** alpha · op(A) · op(B) + beta · C (ONNX Gemm). */
function gemm(node: NodeInputs): readonly Tensor[] {
  const [a, b, c] = [input(node, 0), input(node, 1), node.inputs[2]];
  const flag = (name: string) => node.attributes.number(name, 0) !== 0;
  const [transA, transB] = [flag("transA"), flag("transB")];
  const [n, k] = transA ? [a.dims[1], a.dims[0]] : a.dims;
  const [inB, m] = transB ? [b.dims[1], b.dims[0]] : b.dims;
  if (inB !== k) throw new TypeError(`Gemm of [${a.dims}] and [${b.dims}]`);
  const found = product(a.data, b.data, [n, k, m], {
    a: transA ? [1, n] : [k, 1],
    b: transB ? [1, k] : [m, 1],
  });
  const [alpha, beta] = [node.attributes.number("alpha", 1), node.attributes.number("beta", 1)];
  const added = c && broadcastPlaces(c.dims, [n, m]);
  const data = found.map((x) => alpha * x + (added ? beta * c.data[added.next().value!] : 0));
  return [tensor(a.type, [n, m], data)];
}

/** Products of the last two axes; those before broadcast (numpy.matmul). */
function matMul(node: NodeInputs): readonly Tensor[] {
  const [a, b] = [input(node, 0), input(node, 1)];
  const [n, k] = a.dims.slice(-2);
  const [inB, m] = b.dims.slice(-2);
  if (inB !== k || a.dims.length < 2) throw new TypeError(`MatMul of [${a.dims}] and [${b.dims}]`);
  const batch = broadcastDims([a.dims.slice(0, -2), b.dims.slice(0, -2)]);
  const data = new Float64Array(sizeOf(batch) * n * m);
  const placesB = broadcastPlaces(b.dims.slice(0, -2), batch);
  let at = 0;
  for (const placeA of broadcastPlaces(a.dims.slice(0, -2), batch)) {
    const left = a.data.subarray(placeA * n * k);
    const right = b.data.subarray(placesB.next().value! * k * m);
    data.set(product(left, right, [n, k, m], { a: [k, 1], b: [m, 1] }), at);
    at += n * m;
  }
  return [tensor(a.type, [...batch, n, m], data)];
}

/**
 * A · Bᵀ for B in blocks of codes with a scale and a zero point each (com.microsoft.MatMulNBits);
 * each row of zero points begins a byte. What an engine rounds besides (`accuracy_level`) is not
 * rounded here.
 */
function matMulNBits(node: NodeInputs): readonly Tensor[] {
  const [a, codes, scales] = [0, 1, 2].map((i) => input(node, i));
  const zeros = node.inputs[3];
  const of = (name: string) => node.attributes.number(name, 0);
  const [k, m, bits, blockSize] = [of("K"), of("N"), of("bits"), of("block_size")];
  const blocks = Math.ceil(k / blockSize);
  const perByte = 8 / bits;
  const unpack = (bytes: Tensor, row: number, rowBytes: number, index: number) => {
    const byte = bytes.data[row * rowBytes + Math.floor(index / perByte)];
    return (byte >> (index % perByte * bits)) & (2 ** bits - 1);
  };
  const weights = new Float64Array(m * k);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < k; column++) {
      const block = Math.floor(column / blockSize);
      const code = unpack(codes, row, blocks * blockSize / perByte, column);
      const zero = zeros ? unpack(zeros, row, Math.ceil(blocks / perByte), block) : 2 ** (bits - 1);
      weights[row * k + column] = (code - zero) * scales.data[row * blocks + block];
    }
  }
  const n = a.data.length / k;
  const data = product(a.data, weights, [n, k, m], { a: [k, 1], b: [1, k] });
  return [tensor(a.type, a.dims.with(-1, m), data)];
}

/** Of the runs along one axis, or all of them. */
const reduce = (of: (values: Float64Array) => number): Operator => (node) => {
  const x = input(node, 0);
  const axes = numbersOf(node, 1) ?? x.dims.map((_, axis) => axis);
  const keep = node.attributes.number("keepdims", 1) !== 0;
  if (axes.length !== 1) throw new TypeError(`a reduction over ${axes.length} axes`);
  return [overAxis(x, axes[0], keep, of)];
};

function overAxis(x: Tensor, given: number, keep: boolean, of: (values: Float64Array) => number) {
  const axis = axisOf(given, x.dims.length);
  const data = Float64Array.from(runs(x, axis), of);
  const dims = keep ? x.dims.with(axis, 1) : x.dims.toSpliced(axis, 1);
  return tensor(x.type, dims, data);
}

/** The values along an axis, one run after the other. */
function* runs({ dims, data }: Tensor, axis: number): Generator<Float64Array> {
  const { outer, length, inner } = along(dims, axis);
  for (let row = 0; row < outer; row++) {
    for (let column = 0; column < inner; column++) {
      const start = row * length * inner + column;
      yield Float64Array.from({ length }, (_, i) => data[start + i * inner]);
    }
  }
}

/** Of the runs along the last axis, which stay as long as they are. */
const lastAxis =
  (of: (values: Float64Array, node: NodeInputs) => Float64Array): Operator => (node) => {
    const x = input(node, 0);
    const last = x.dims.length - 1;
    if (axisOf(node.attributes.number("axis", -1), x.dims.length) !== last) {
      throw new TypeError("only the last axis is computed here");
    }
    const data = new Float64Array(x.data.length);
    let at = 0;
    for (const run of runs(x, last)) {
      data.set(of(run, node), at);
      at += run.length;
    }
    return [tensor(x.type, x.dims, data)];
  };

const sum = (values: Float64Array) => values.reduce((total, x) => total + x, 0);
const largest = (values: Float64Array) => values.reduce((most, x) => Math.max(most, x), -Infinity);
const squares = (values: Float64Array) => values.reduce((total, x) => total + x * x, 0);

/** exp(x) / Σ exp(x), less the largest first. */
export function softmax(values: Float64Array): Float64Array {
  const most = largest(values);
  const powers = values.map((x) => Math.exp(x - most));
  const total = sum(powers);
  return powers.map((x) => x / total);
}

function logSoftmax(values: Float64Array): Float64Array {
  const most = largest(values);
  const total = Math.log(sum(values.map((x) => Math.exp(x - most))));
  return values.map((x) => x - most - total);
}

/** x / sqrt(mean(x²) + epsilon) · weight (arXiv 1910.07467, equation 4). */
function rmsNorm(values: Float64Array, node: NodeInputs): Float64Array {
  const { data } = input(node, 1);
  const epsilon = node.attributes.number("epsilon", 1e-5);
  const scale = 1 / Math.sqrt(squares(values) / values.length + epsilon);
  return values.map((x, i) => x * scale * data[i]);
}

/** (x − mean) / sqrt(var + epsilon) · weight + bias (arXiv 1607.06450, equation 4). */
function layerNorm(values: Float64Array, node: NodeInputs): Float64Array {
  const [weight, bias] = [input(node, 1).data, node.inputs[2]?.data];
  const epsilon = node.attributes.number("epsilon", 1e-5);
  const mean = sum(values) / values.length;
  const centered = values.map((x) => x - mean);
  const scale = 1 / Math.sqrt(squares(centered) / values.length + epsilon);
  return centered.map((x, i) => x * scale * weight[i] + (bias?.[i] ?? 0));
}

function argMax(node: NodeInputs): readonly Tensor[] {
  const axis = node.attributes.number("axis", 0);
  const keep = node.attributes.number("keepdims", 1) !== 0;
  const found = overAxis(input(node, 0), axis, keep, (run) => run.indexOf(largest(run)));
  return [{ ...found, type: "int64" }];
}

function det(node: NodeInputs): readonly Tensor[] {
  const { type, dims: [n], data } = input(node, 0);
  return [tensor(type, [], Float64Array.of(determinant(Matrix.from1DArray(n, n, data))))];
}

export const MATRICES: Readonly<Record<string, Operator>> = {
  Gemm: gemm,
  MatMul: matMul,
  "com.microsoft.MatMulNBits": matMulNBits,
  Det: det,
  ReduceSum: reduce(sum),
  ReduceL2: reduce((values) => Math.sqrt(squares(values))),
  ReduceSumSquare: reduce(squares),
  ReduceMax: reduce(largest),
  ArgMax: argMax,
  Softmax: lastAxis(softmax),
  LogSoftmax: lastAxis(logSoftmax),
  SimplifiedLayerNormalization: lastAxis(rmsNorm),
  LayerNormalization: lastAxis(layerNorm),
};
