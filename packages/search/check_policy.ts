import { type ModelSpec, UsageError } from "@lopper/core";
import { headGroupUnit } from "./group_sizes.ts";
import type { MultiPrunerOptions, PolicyOptions } from "./policy.ts";

/** The shares of blocks, channels and heads, of 1. */
export function checkedShares({ distribution }: MultiPrunerOptions): readonly number[] {
  const sum = distribution.reduce((a, b) => a + b, 0);
  if (!(sum > 0) || distribution.some((share) => !(share >= 0))) {
    throw new UsageError(
      `the distribution is ${
        distribution.join(":")
      }; it needs three shares, none negative and not all 0`,
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

export function checkGroups(spec: ModelSpec, { mlpGroup, attentionGroup }: PolicyOptions) {
  if (!Number.isInteger(mlpGroup) || mlpGroup < 1) {
    throw new UsageError(`the MLP group is ${mlpGroup}; it needs at least 1 channel`);
  }
  const unit = headGroupUnit(spec);
  if (!Number.isInteger(attentionGroup) || attentionGroup < 1 || attentionGroup % unit !== 0) {
    throw new UsageError(
      `the attention group is ${attentionGroup} query channels; this model needs a multiple of ${unit}, ` +
        `so that whole KV groups go`,
    );
  }
}
