import {
  broadcastDims,
  broadcastPlaces,
  type ElementType,
  elementType,
  type Tensor,
  tensor,
} from "./tensor.ts";
import { input, type NodeInputs, type Operator } from "./operator.ts";

/** Of each value by itself. */
const unary = (of: (x: number) => number): Operator => (node) => {
  const { type, dims, data } = input(node, 0);
  return [tensor(type, dims, data.map(of))];
};

/** Of values that broadcast to one shape, two at a time. */
const binary = (of: (x: number, y: number) => number, type?: ElementType): Operator => (node) => {
  const [first, ...others] = node.inputs.map((_, i) => input(node, i));
  return [others.reduce((x, y) => combined(x, y, of, type ?? x.type), first)];
};

function combined(
  x: Tensor,
  y: Tensor,
  of: (x: number, y: number) => number,
  type: ElementType,
): Tensor {
  const dims = broadcastDims([x.dims, y.dims]);
  const [left, right] = [broadcastPlaces(x.dims, dims), broadcastPlaces(y.dims, dims)];
  const data = Float64Array.from(left, (place) => of(x.data[place], y.data[right.next().value!]));
  return tensor(type, dims, data);
}

const truth = (of: (x: number, y: number) => boolean) => binary((x, y) => Number(of(x, y)), "bool");

function where(node: NodeInputs): readonly Tensor[] {
  const [condition, yes, no] = [0, 1, 2].map((i) => input(node, i));
  const dims = broadcastDims([condition.dims, yes.dims, no.dims]);
  const [ifYes, ifNo] = [broadcastPlaces(yes.dims, dims), broadcastPlaces(no.dims, dims)];
  const data = Float64Array.from(broadcastPlaces(condition.dims, dims), (place) => {
    const [a, b] = [yes.data[ifYes.next().value!], no.data[ifNo.next().value!]];
    return condition.data[place] !== 0 ? a : b;
  });
  return [tensor(yes.type, dims, data)];
}

function clip(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const [least, most] = [node.inputs[1]?.data[0] ?? -Infinity, node.inputs[2]?.data[0] ?? Infinity];
  return [tensor(type, dims, data.map((x) => Math.min(most, Math.max(least, x))))];
}

/**
 * 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)) (Abramowitz and Stegun, 7.1.6); from 6 on 1
 * is as near as numbers come.
 */
function erf(x: number): number {
  if (Math.abs(x) >= 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

function cast(node: NodeInputs): readonly Tensor[] {
  const { dims, data } = input(node, 0);
  const type = elementType(node.attributes.number("to", 0));
  const convert: Record<ElementType, (x: number) => number> = {
    float32: Math.fround,
    float16: (x) => Math.f16round(x),
    int64: Math.trunc,
    int32: Math.trunc,
    uint8: Math.trunc,
    bool: (x) => Number(x !== 0),
  };
  return [tensor(type, dims, data.map(convert[type]))];
}

export const ELEMENTWISE: Readonly<Record<string, Operator>> = {
  Add: binary((x, y) => x + y),
  Sub: binary((x, y) => x - y),
  Mul: binary((x, y) => x * y),
  Div: binary((x, y) => x / y),
  Max: binary(Math.max),
  Min: binary(Math.min),
  Greater: truth((x, y) => x > y),
  LessOrEqual: truth((x, y) => x <= y),
  Equal: truth((x, y) => x === y),
  Or: truth((x, y) => x !== 0 || y !== 0),
  Neg: unary((x) => -x),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Floor: unary(Math.floor),
  Cos: unary(Math.cos),
  Sin: unary(Math.sin),
  Tanh: unary(Math.tanh),
  Erf: unary(erf),
  Relu: unary((x) => Math.max(0, x)),
  Clip: clip,
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Identity: (node) => [input(node, 0)],
  Where: where,
  Cast: cast,
};
