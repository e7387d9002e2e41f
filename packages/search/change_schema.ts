import { z } from "zod";
import { count, list } from "./json_values.ts";

/** Of a block, a dimension or a stage. */
export const nameSchema = z.string().min(1).max(100);
/** The key of a candidate; one of all layers names each of them. */
export const keySchema = z.string().max(1_000_000);

/** What a step or a swap did, in the coordinates of the checkpoint. */
export const changesSchema = list(z.strictObject({
  part: nameSchema,
  dimension: nameSchema.nullable(),
  removed: list(count),
  restored: list(count).optional(),
}));
