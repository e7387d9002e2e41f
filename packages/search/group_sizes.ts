import { type Architecture, commonMultiple, groupSize, headsOf, sizeOf } from "@lopper/core";
import { CHANNELS } from "./dimensions/channels.ts";
import { groupsOf, hasDimension } from "./dimensions/dimension.ts";
import { EXPERTS } from "./dimensions/experts.ts";

/**
 * The fewest query channels that are whole KV groups in every layer: those of one group where all
 * layers have groups of the same size.
 */
export function headGroupUnit(architecture: Architecture): number {
  const groups = architecture.blocks.filter(({ attention }) => attention).map((block) =>
    groupSize(headsOf(block))
  );
  return architecture.headDim * commonMultiple(groups);
}

/** Groups of channels that an MLP has about in the published runs: 1024 of 11008 go at a time. */
export const PUBLISHED_MLP_GROUPS = 11;

/** Groups of experts that a layer has about, where nobody chose their size. */
const EXPERT_GROUPS = 16;

/**
 * Experts of a group, as many of each group of a router; null where the model has none.
 */
export function defaultExpertGroup({ blocks }: Architecture): number | null {
  const most = Math.max(0, ...blocks.map((block) => sizeOf(block).experts ?? 0));
  const whole = commonMultiple(blocks.map((block) => groupsOf(block, EXPERTS.name)));
  return most === 0 ? null : Math.max(1, Math.floor(most / EXPERT_GROUPS / whole)) * whole;
}

/**
 * Channels of a group, a multiple of 32; of a model with experts, as many as suit those.
 * @param groups that the widest MLP has about.
 */
export function defaultMlpGroup({ blocks }: Architecture, groups: number): number {
  const mixtures = blocks.filter((block) => block.routing && hasDimension(block, CHANNELS.name));
  const those = mixtures.length > 0 ? mixtures : blocks;
  const widest = Math.max(0, ...those.map((block) => sizeOf(block).channels ?? 0));
  const group = Math.ceil(widest / groups / 32) * 32;
  // A model so narrow that one group is all of it still gets a search.
  return group < widest ? Math.max(1, group) : Math.max(1, Math.floor(widest / 2));
}
