import { type Block, type BlockSize, mainUnits } from "./block.ts";
import type { Resource } from "./resource.ts";

/** Measured times of one kind of block at several sizes. */
export interface LatencyCurve {
  readonly kind: string;
  /** Inner channels of one unit: query channels of a KV group, or 1. */
  readonly unitWidth: number;
  /** Units: ascending, none twice. */
  readonly sizes: readonly number[];
  /** For each of the sizes, milliseconds that one block takes for a token. */
  readonly ms: readonly number[];
}

/** What decoding one token takes on one machine and backend, part by part, in milliseconds. */
export interface LatencyTable {
  /** Tokens whose keys and values were there when a token was decoded. */
  readonly pastTokens: number;
  /** Passes over the model of which each time is the median. */
  readonly rounds: number;
  /** Everything but the blocks: embedding, final norm, LM head, and what runs in between. */
  readonly rest: number;
  /** One for each kind and each width of a unit. */
  readonly curves: readonly LatencyCurve[];
}

/** Blocks that are timed together: those whose times differ by their size alone. */
export type TimedKind = Pick<LatencyCurve, "kind" | "unitWidth">;

/** Which blocks a block is timed with. */
export function timedKind(block: Block): TimedKind {
  return { kind: block.kind, unitWidth: mainUnits(block).width };
}

export function isSameKind(a: TimedKind, b: TimedKind): boolean {
  return a.kind === b.kind && a.unitWidth === b.unitWidth;
}

/** Units by which the time of a block is told. */
export function timedUnits(block: Block, size: BlockSize): number {
  return size[mainUnits(block).dimension];
}

/**
 * Predicted milliseconds for each token: the sum of what the table says of the blocks, and of the
 * rest (as NetAdapt, arXiv 1804.03230, section 3.3, and HALP, arXiv 2110.10811, predict it).
 */
export function latencyOf(table: LatencyTable, blocks: readonly Block[]): Resource {
  const curves = table.curves.map((curve) => ({ curve, times: interpolation(curve) }));
  const block = (number: number, size: BlockSize): number => {
    const kind = timedKind(blocks[number]);
    const found = curves.find(({ curve }) => isSameKind(curve, kind));
    if (!found) {
      throw new RangeError(
        `the table has no ${kind.kind} with ${kind.unitWidth} channels in a unit`,
      );
    }
    return found.times(timedUnits(blocks[number], size));
  };
  return {
    name: "latency",
    amount: (shape) =>
      shape.reduce((sum, size, number) => size ? sum + block(number, size) : sum, table.rest),
    block,
  };
}

/**
 * The times of a curve at any size: straight lines between what was measured, and on beyond its
 * ends, but never below 0. A smaller block is never predicted to take longer than a larger one:
 * where it was measured so, which is chance or a kernel that likes some sizes better, neighbours
 * are put together at their means until times grow with sizes (isotonic regression by pooling
 * adjacent violators: Ayer et al., 1955).
 * @throws {RangeError} when a size is asked for and the curve has none.
 */
export function interpolation(
  { sizes, ms }: Pick<LatencyCurve, "sizes" | "ms">,
): (size: number) => number {
  const points: Point[] = [];
  sizes.forEach((size, i) => {
    let last: Point = { size, ms: ms[i], count: 1 };
    while (points.length > 0 && points.at(-1)!.ms >= last.ms) {
      last = together(points.pop()!, last);
    }
    points.push(last);
  });
  return (size) => {
    if (points.length === 0) throw new RangeError(`the curve has no sizes, not even near ${size}`);
    if (points.length === 1) return Math.max(0, points[0].ms);
    const above = points.findIndex((point) => point.size >= size);
    const right = above < 0 ? points.length - 1 : Math.max(1, above);
    const [from, to] = [points[right - 1], points[right]];
    const share = (size - from.size) / (to.size - from.size);
    return Math.max(0, from.ms + share * (to.ms - from.ms));
  };
}

interface Point {
  readonly size: number;
  readonly ms: number;
  /** Measured points that it stands for. */
  readonly count: number;
}

function together(a: Point, b: Point): Point {
  const count = a.count + b.count;
  const mean = (x: number, y: number) => (a.count * x + b.count * y) / count;
  return { size: mean(a.size, b.size), ms: mean(a.ms, b.ms), count };
}
