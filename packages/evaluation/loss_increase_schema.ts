import { count, list, lossy } from "@lopper/search";
import { z } from "zod";

/** Before and after. */
export const denseAndPruned = z.strictObject({ dense: lossy, pruned: lossy });
export type DenseAndPruned = Readonly<z.infer<typeof denseAndPruned>>;

const text = z.string().max(100_000);

/** How the loss of a text changed. Losses are mean NLLs in nats per token. */
export const lossIncreaseSchema = z.strictObject({
  passages: list(denseAndPruned.extend({
    /** The stretch whose loss grew most, of those passages that suffered most. */
    worst: text.optional(),
  })),
  /**
   * Of several texts: which passages are whose, one text after the other, and what became of each.
   */
  texts: list(denseAndPruned.extend({ name: text, passages: count })).optional(),
  /** By kind of the token that was to be predicted, the most frequent kind first. */
  tokens: list(denseAndPruned.extend({ kind: text, count })),
});
export type LossIncrease = Readonly<z.infer<typeof lossIncreaseSchema>>;
