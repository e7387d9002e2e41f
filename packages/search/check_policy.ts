import { commonMultiple, UsageError } from "@lopper/core";
import { groupsOf, hasDimension, type SearchDimension, unitWidth } from "./dimensions/dimension.ts";
import { dimensionsOfBlocks, dimensionsOfShares } from "./dimensions/list.ts";
import type { MultiPrunerOptions, PolicyOptions } from "./policy.ts";
import type { SearchModel } from "./search_model.ts";

/** The dimensions that a policy narrows. */
export function dimensionsOf({ blocks }: SearchModel, { dimensions }: PolicyOptions) {
  return dimensions ?? dimensionsOfBlocks(blocks);
}

/** The dimensions that a policy has shares of, behind that of blocks. */
export function sharedOut(model: SearchModel, options: MultiPrunerOptions) {
  return dimensionsOfShares(dimensionsOf(model, options), options.distribution);
}

/** The shares of blocks and of each dimension, of 1. */
export function checkedShares(model: SearchModel, options: MultiPrunerOptions): readonly number[] {
  const { distribution } = options;
  const sum = distribution.reduce((a, b) => a + b, 0);
  const needed = sharedOut(model, options).length + 1;
  const fits = distribution.length === needed && sum > 0 &&
    distribution.every((share) => share >= 0);
  if (!fits) {
    throw new UsageError(
      `the distribution is ${
        distribution.join(":")
      }; it needs ${needed} shares, none negative and not all 0`,
    );
  }
  return distribution.map((share) => share / sum);
}

/** The ratios that the stages end at, ascending. */
export function checkedTargets({ ratio, earlierRatios = [] }: PolicyOptions): readonly number[] {
  if (!(ratio > 0 && ratio < 100)) {
    throw new UsageError(`the ratio is ${ratio}; it needs to be above 0 and below 100 per cent`);
  }
  const targets = [...earlierRatios, ratio];
  if (targets.some((target, i) => target <= (targets[i - 1] ?? 0))) {
    throw new UsageError(`the ratios ${targets.join(", ")} need to grow`);
  }
  return targets;
}

/** @throws {UsageError} when a group is not made of whole units in every block. */
export function checkGroups(model: SearchModel, options: PolicyOptions) {
  for (const { name, unit, group } of dimensionsOf(model, options)) {
    const size = options.groups[name];
    const whole = groupUnit(model, name);
    if (Number.isInteger(size) && size >= 1 && size % whole === 0) continue;
    throw new UsageError(
      whole === 1
        ? `the ${group.name} is ${size}; it needs at least 1 ${group.channel}`
        : `the ${group.name} is ${size} ${group.channel}s; this model needs a multiple of ${whole}, ` +
          (unit === group.channel
            ? "so that each group loses as many"
            : `so that whole ${unit}s go`),
    );
  }
}

/**
 * The fewest inner channels that are whole units in every block, of every group of units; 1 where
 * no block has the dimension.
 */
function groupUnit({ blocks }: SearchModel, dimension: SearchDimension["name"]): number {
  const widths = blocks.filter((block) => hasDimension(block, dimension))
    .map((block) => unitWidth(block, dimension) * groupsOf(block, dimension));
  return commonMultiple(widths);
}
