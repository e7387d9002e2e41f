import { type Block, unitAxis } from "@lopper/core";

/** What a search has to know of a dimension beside what the blocks say of it. */
export interface SearchDimension {
  /** As blocks name it; its stage has the same name. */
  readonly name: string;
  /** What its stage removes, in words: "MLP channels". */
  readonly label: string;
  /** One unit, and all of them, in words: "channel", "MLP channels". */
  readonly unit: string;
  readonly units: string;
  /** A group of units, in words, and the inner channels that its size is given in. */
  readonly group: { readonly name: string; readonly channel: string };
  /** Units that a block keeps at least; 1 unless said. */
  least?(block: Block): number;
  /**
   * All layers that have such a block lose as many of them at a time unless it is said otherwise,
   * since programs know only models in which they are alike.
   */
  alike?(block: Block): boolean;
  /** Whether readers of plain models know a block of so many units. Without it, they know any. */
  fits?(block: Block, units: number): boolean;
  /**
   * Inner channels to which a cut of all layers is trimmed where it would go beyond its bound, if
   * groups are made of so many. Without it, whole groups go, and none that crosses the bound.
   */
  readonly trimmedTo?: number;
}

/**
 * Sizes of groups by dimension, in inner channels: inputs of the projection back into the hidden
 * states, so that one number means the same for blocks whose units differ.
 */
export type GroupSizes = Readonly<Record<string, number>>;

const WIDTHS = new WeakMap<Block, Map<string, number>>();

/** Inner channels of one unit of a block. */
export function unitWidth(block: Block, dimension: string): number {
  const known = WIDTHS.get(block) ?? new Map<string, number>();
  WIDTHS.set(block, known);
  const width = known.get(dimension) ?? widthOf(block, dimension);
  known.set(dimension, width);
  return width;
}

function widthOf({ weights }: Block, dimension: string): number {
  for (const weight of weights) {
    const axis = unitAxis(weight);
    if (axis?.at === 1 && axis.dimension === dimension && axis.from === undefined) {
      return axis.width;
    }
  }
  return 1;
}

/** Units of a block that go at a time. */
export function unitsOfGroup(block: Block, dimension: string, groups: GroupSizes): number {
  return groups[dimension] / unitWidth(block, dimension);
}

/** In how many groups the units of a block lie, which lose equally many. */
export function groupsOf({ dimensions }: Block, dimension: string): number {
  return dimensions.find(({ name }) => name === dimension)?.groups ?? 1;
}

/** Whether a block has a dimension. */
export function hasDimension({ dimensions }: Block, name: string): boolean {
  return dimensions.some((dimension) => dimension.name === name);
}
