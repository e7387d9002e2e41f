import type { SearchDimension } from "./dimension.ts";

/** Intermediate channels of MLPs, those of experts included: each expert loses as many. */
export const CHANNELS: SearchDimension = {
  name: "channels",
  label: "MLP channels",
  unit: "channel",
  units: "MLP channels",
  group: { name: "MLP group", channel: "channel" },
  // Those of experts.
  alike: ({ routing }) => routing !== undefined,
  // The block of most quantisations.
  trimmedTo: 32,
};
