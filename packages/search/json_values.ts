import { z } from "zod";

export const count = z.int().nonnegative();
/** What is not finite is written as null, since JSON has no word for it. */
export const lossy = z.number().or(z.null().transform(() => NaN));
/**
 * What a list may hold at most: more layers, steps or units than any model has; a file of more is
 * damaged.
 */
const MAX_VALUES = 1_000_000;
/** A list of no more than a model can have. */
export const list = <T extends z.ZodType>(entry: T) => z.array(entry).max(MAX_VALUES).readonly();
