import type { Independence } from "@lopper/graphs";
import type { Feeds, HostTensor } from "../backend.ts";
import type { Fetches } from "./protocol.ts";

/** The values of the feed whose rows are counted; 0 where it is missing. */
export function valuesOf({ feeds: first }: Independence, feeds: Feeds): number {
  const name = [...first.keys()].find((name) => feeds[name]);
  return name === undefined ? 0 : feeds[name].data.length;
}

/**
 * The feeds of a graph in parts of nearly as many rows, in their order: views where rows lie side
 * by side. Fewer parts where there are fewer rows.
 */
export function partsOfFeeds(
  { axes, feeds: first }: Independence,
  feeds: Feeds,
  parts: number,
): readonly Feeds[] {
  const [name, axis] = [...first].find(([name]) => feeds[name]) ?? [];
  if (name === undefined) return [feeds];
  const rows = product(feeds[name].dims.slice(axis!, axis! + axes.length));
  const count = Math.min(parts, rows);
  if (count <= 1) return [feeds];
  return Array.from({ length: count }, (_, i) => {
    const range = [Math.round(i * rows / count), Math.round((i + 1) * rows / count)] as const;
    return Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => {
        const axis = first.get(name);
        return [name, axis === undefined ? tensor : rowsOf(tensor, axis, axes.length, range)];
      }),
    );
  });
}

/**
 * Rows of a tensor, counted along axes that stand side by side; of those all but the last become 1.
 */
function rowsOf(
  tensor: HostTensor,
  axis: number,
  span: number,
  [start, end]: readonly [start: number, end: number],
): HostTensor {
  const { dims, data } = tensor;
  const after = dims.slice(axis + span);
  const [outer, inner] = [product(dims.slice(0, axis)), product(after)];
  const ones = new Array(span - 1).fill(1);
  const shape = [...dims.slice(0, axis), ...ones, end - start, ...after];
  if (outer === 1) return view(tensor, shape, start * inner, end * inner);
  const all = data.length / outer, length = (end - start) * inner;
  const part = view(tensor, shape, 0, outer * length);
  const copy = part.data.slice() as Float32Array;
  for (let i = 0; i < outer; i++) {
    const from = i * all + start * inner;
    copy.set(data.subarray(from, from + length) as Float32Array, i * length);
  }
  return { ...part, data: copy } as HostTensor;
}

function view({ dtype, data }: HostTensor, dims: number[], start: number, end: number): HostTensor {
  return { dtype, dims, data: data.subarray(start, end) } as HostTensor;
}

/** The fetches of all parts, one after another along the first axis of each. */
export function joinFetches(parts: readonly Fetches[]): Fetches {
  if (parts.length === 1) return parts[0];
  return Object.fromEntries(
    Object.keys(parts[0]).map((name) => [name, joined(parts.map((fetches) => fetches[name]))]),
  );
}

function joined(tensors: readonly HostTensor[]): HostTensor {
  const [{ dtype, dims: [, ...row], data }] = tensors;
  const rows = tensors.reduce((sum, { dims }) => sum + dims[0], 0);
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const all = new (data.constructor as Float32ArrayConstructor)(length);
  let at = 0;
  for (const { data } of tensors) {
    all.set(data as Float32Array, at);
    at += data.length;
  }
  return { dtype, dims: [rows, ...row], data: all } as HostTensor;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
