import { axisLength, type Block, unitAxis } from "@lopper/core";
import { type SearchDimension, unitWidth } from "./dimension.ts";

/** KV heads of attention blocks, each with the query heads that read it. */
export const KV_GROUPS: SearchDimension = {
  name: "kvGroups",
  label: "heads",
  unit: "KV group",
  units: "KV groups",
  group: { name: "attention group", channel: "query channel" },
  /** Readers of plain models ask for query heads that divide the hidden size. */
  fits: (block, units) => {
    const { hidden, heads } = headsOf(block);
    return hidden % (heads * units) === 0;
  },
};

/** The hidden size, and the query heads of a KV group. */
function headsOf(block: Block): { readonly hidden: number; readonly heads: number } {
  const back = block.weights.find((weight) => unitAxis(weight)?.at === 1)!;
  const key = block.weights.find(({ name }) => name === "k")!;
  return {
    hidden: axisLength(back.axes[0], {}),
    heads: unitWidth(block, "kvGroups") / unitAxis(key)!.width,
  };
}
