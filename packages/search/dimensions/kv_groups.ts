import { groupSize, headsOf, outputProjection, weightShape } from "@lopper/core";
import type { SearchDimension } from "./dimension.ts";

/** KV heads of attention blocks, each with the query heads that read it. */
export const KV_GROUPS: SearchDimension = {
  name: "kvGroups",
  label: "heads",
  unit: "KV group",
  units: "KV groups",
  group: { name: "attention group", channel: "query channel" },
  /** Readers of plain models ask for query heads that divide the hidden size. */
  fits: (block, units) => {
    const [hidden] = weightShape(outputProjection(block), { kvGroups: units });
    return hidden % (groupSize(headsOf(block)) * units) === 0;
  },
};
