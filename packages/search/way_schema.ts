import { z } from "zod";
import { changesSchema } from "./change_schema.ts";
import { count, list, lossy } from "./json_values.ts";

/** One step of a finished run, with what is left after it. */
const frontierStep = z.strictObject({
  stage: z.string().max(100),
  /** What went. */
  changes: changesSchema,
  /** Published pruning ratio, in per cent. */
  ratio: z.number(),
  /** Milliseconds that a token is predicted to take then, where that is what was to be saved. */
  latency: z.number().optional(),
  /** Stored parameters that are left. */
  parameters: count,
  /** On the samples that the step was scored on. */
  perplexity: lossy,
  /** On the text of --held-out; null where there is none, or where it is not finite. */
  heldOut: z.number().nullable(),
});

/** Something that came back, and something that went for it. */
const swap = z.strictObject({
  changes: changesSchema,
  /** Published pruning ratio after it, in per cent. */
  ratio: z.number(),
  /** Stored parameters that are left. */
  parameters: count,
  /** On the block samples. */
  perplexity: lossy,
  /** On the text of --held-out; null where there is none, or where it is not finite. */
  heldOut: z.number().nullable(),
});

/** What was swapped when a search had reached a target. */
const swapPhase = z.strictObject({
  /** Steps before it. */
  steps: count,
  tried: count,
  /** In their order; the next steps go on from what they left. */
  kept: list(swap),
  /** On the block samples; null where it is not finite. */
  perplexity: z.strictObject({ before: z.number().nullable(), after: z.number().nullable() }),
  blockTokens: z.number(),
});

/** What a search decided, as a record keeps it. */
export const waySchema = {
  /** The steps in their order; the first of them make the smaller ratios of the run. */
  frontier: list(frontierStep),
  /**
   * What was swapped between these steps and after them, for each target; none where nothing was to
   * be.
   */
  swaps: list(swapPhase),
};

export type FrontierStep = Readonly<z.infer<typeof frontierStep>>;
export type Swap = Readonly<z.infer<typeof swap>>;
export type SwapPhase = Readonly<z.infer<typeof swapPhase>>;
/** What a search decided, as run.json keeps it. */
export interface Way {
  readonly frontier: readonly FrontierStep[];
  readonly swaps: readonly SwapPhase[];
}
