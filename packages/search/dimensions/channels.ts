import type { SearchDimension } from "./dimension.ts";

/** Intermediate channels of MLPs. */
export const CHANNELS: SearchDimension = {
  name: "channels",
  label: "MLP channels",
  unit: "channel",
  units: "MLP channels",
  group: { name: "MLP group", channel: "channel" },
  // The block of most quantisations.
  trimmedTo: 32,
};
