import { input, type NodeInputs, numbersOf, type Operator } from "./operator.ts";
import {
  along,
  axisOf,
  broadcastDims,
  broadcastPlaces,
  int64s,
  sizeOf,
  strides,
  type Tensor,
  tensor,
} from "./tensor.ts";

/** 0 keeps the size of the same axis, and one -1 takes what is left. */
function reshape(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const asked = numbersOf(node, 1)!.map((size, axis) => size === 0 ? dims[axis] : size);
  const known = sizeOf(asked.filter((size) => size !== -1));
  return [tensor(type, asked.map((size) => size === -1 ? data.length / known : size), data)];
}

function shape(node: NodeInputs): readonly Tensor[] {
  const { dims } = input(node, 0);
  const at = (name: string, fallback: number) => node.attributes.number(name, fallback);
  return [int64s(dims.slice(at("start", 0), at("end", dims.length)))];
}

function concat(node: NodeInputs): readonly Tensor[] {
  const parts = node.inputs.map((_, i) => input(node, i));
  return [joined(parts, node.attributes.number("axis", 0))];
}

function joined(parts: readonly Tensor[], given: number): Tensor {
  const { type, dims } = parts[0];
  const axis = axisOf(given, dims.length);
  const wide = dims.with(axis, parts.reduce((sum, part) => sum + part.dims[axis], 0));
  const { outer } = along(wide, axis);
  const data = new Float64Array(sizeOf(wide));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const part of parts) {
      const length = part.data.length / outer;
      data.set(part.data.subarray(row * length, (row + 1) * length), at);
      at += length;
    }
  }
  return tensor(type, wide, data);
}

function transpose(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const perm = node.attributes.numbers("perm") ?? dims.map((_, axis) => dims.length - 1 - axis);
  const turned = perm.map((axis) => dims[axis]);
  const [from, to] = [strides(dims), strides(turned)];
  const out = data.map((_, place) => {
    const source = perm.reduce(
      (sum, axis, i) => sum + Math.floor(place / to[i]) % turned[i] * from[axis],
      0,
    );
    return data[source];
  });
  return [tensor(type, turned, out)];
}

function unsqueeze(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const axes = numbersOf(node, 1)!;
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  const left = [...dims];
  return [
    tensor(type, Array.from({ length: rank }, (_, i) => added.has(i) ? 1 : left.shift()!), data),
  ];
}

function squeeze(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const axes = numbersOf(node, 1)?.map((axis) => axisOf(axis, dims.length)) ??
    dims.flatMap((size, axis) => size === 1 ? [axis] : []);
  return [tensor(type, dims.filter((_, axis) => !axes.includes(axis)), data)];
}

/** Rows of the first along an axis, by numbers in any shape. */
function gather(node: NodeInputs): readonly Tensor[] {
  const [x, picks] = [input(node, 0), input(node, 1)];
  const axis = axisOf(node.attributes.number("axis", 0), x.dims.length);
  const { outer, length, inner } = along(x.dims, axis);
  const data = new Float64Array(outer * picks.data.length * inner);
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const pick of picks.data) {
      const start = (row * length + axisOf(pick, length)) * inner;
      data.set(x.data.subarray(start, start + inner), at);
      at += inner;
    }
  }
  return [
    tensor(x.type, [...x.dims.slice(0, axis), ...picks.dims, ...x.dims.slice(axis + 1)], data),
  ];
}

/** For each place of the second the value of the first there, but for the place along the axis. */
function gatherElements(node: NodeInputs): readonly Tensor[] {
  const [x, picks] = [input(node, 0), input(node, 1)];
  const axis = axisOf(node.attributes.number("axis", 0), x.dims.length);
  const [from, to] = [strides(x.dims), strides(picks.dims)];
  const data = picks.data.map((pick, place) =>
    x.data[
      from.reduce((sum, step, i) => {
        const index = Math.floor(place / to[i]) % picks.dims[i];
        return sum + step * (i === axis ? axisOf(pick, x.dims[axis]) : index);
      }, 0)
    ]
  );
  return [tensor(x.type, picks.dims, data)];
}

function slice(node: NodeInputs): readonly Tensor[] {
  let x = input(node, 0);
  const [starts, ends] = [numbersOf(node, 1)!, numbersOf(node, 2)!];
  const axes = numbersOf(node, 3) ?? starts.map((_, i) => i);
  if (numbersOf(node, 4)?.some((step) => step !== 1)) throw new TypeError("slices have steps of 1");
  axes.forEach((given, i) => {
    const axis = axisOf(given, x.dims.length);
    const size = x.dims[axis];
    const bound = (n: number) => Math.min(size, Math.max(0, n < 0 ? n + size : n));
    x = part(x, axis, bound(starts[i]), Math.max(bound(starts[i]), bound(ends[i])));
  });
  return [x];
}

/** What lies in `[start, end)` along an axis. */
function part({ type, dims, data }: Tensor, axis: number, start: number, end: number): Tensor {
  const { outer, length, inner } = along(dims, axis);
  const width = (end - start) * inner;
  const out = new Float64Array(outer * width);
  for (let row = 0; row < outer; row++) {
    const from = (row * length + start) * inner;
    out.set(data.subarray(from, from + width), row * width);
  }
  return tensor(type, dims.with(axis, end - start), out);
}

/** In parts of given sizes, or in equal ones, of which the last has what is left. */
function split(node: NodeInputs): readonly Tensor[] {
  const x = input(node, 0);
  const axis = axisOf(node.attributes.number("axis", 0), x.dims.length);
  const length = x.dims[axis];
  const count = node.attributes.number("num_outputs", node.outputs);
  const equal = Math.ceil(length / count);
  const sizes = numbersOf(node, 1) ??
    Array.from({ length: count }, (_, i) => Math.max(0, Math.min(equal, length - i * equal)));
  let end = 0;
  return sizes.map((size) => part(x, axis, end, end += size));
}

function expand(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const wide = broadcastDims([dims, numbersOf(node, 1)!]);
  return [
    tensor(type, wide, Float64Array.from(broadcastPlaces(dims, wide), (place) => data[place])),
  ];
}

function tile(node: NodeInputs): readonly Tensor[] {
  let x = input(node, 0);
  numbersOf(node, 1)!.forEach((times, axis) => {
    x = joined(new Array<Tensor>(times).fill(x), axis);
  });
  return [x];
}

function range(node: NodeInputs): readonly Tensor[] {
  const [start, limit, delta] = [0, 1, 2].map((i) => input(node, i).data[0]);
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  const data = Float64Array.from({ length }, (_, i) => start + i * delta);
  return [tensor(input(node, 0).type, [length], data)];
}

/** Keeps what lies on the diagonal k and above it, or with `upper` 0 on it and below. */
function trilu(node: NodeInputs): readonly Tensor[] {
  const { type, dims, data } = input(node, 0);
  const k = node.inputs[1]?.data[0] ?? 0;
  const upper = node.attributes.number("upper", 1) !== 0;
  const [rows, columns] = dims.slice(-2);
  const out = data.map((value, place) => {
    const distance = place % columns - Math.floor(place / columns) % rows;
    return (upper ? distance >= k : distance <= k) ? value : 0;
  });
  return [tensor(type, dims, out)];
}

function choose(node: NodeInputs): readonly Tensor[] {
  const taken = input(node, 0).data[0] !== 0 ? "then_branch" : "else_branch";
  return node.runGraph(node.attributes.graph(taken));
}

export const SHAPES: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Shape: shape,
  Concat: concat,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Gather: gather,
  GatherElements: gatherElements,
  Slice: slice,
  Split: split,
  Expand: expand,
  Tile: tile,
  Range: range,
  Trilu: trilu,
  If: choose,
};
