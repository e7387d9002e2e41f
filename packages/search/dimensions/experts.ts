import { fewestExperts } from "@lopper/core";
import type { SearchDimension } from "./dimension.ts";

/** Experts of mixtures, in place of the channels of MLPs. */
export const EXPERTS: SearchDimension = {
  name: "experts",
  label: "experts",
  unit: "expert",
  units: "experts",
  group: { name: "expert group", channel: "expert" },
  // A token goes to so many, and readers of plain models ask for them.
  least: ({ routing, dimensions: [{ groups }] }) => routing ? fewestExperts(routing, groups) : 1,
  alike: () => true,
};
