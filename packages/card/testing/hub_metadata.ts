import { z } from "zod";

/** How models are called on the hub. */
const id = z.string().regex(/^[\w.-]{1,96}(\/[\w.-]{1,96})?$/);
const named = z.strictObject({ type: z.string().min(1), name: z.string().min(1) });

/**
 * The metadata of a model's card as the hub documents it ("Model Cards" and the specification of
 * `model-index` in its documentation), as far as Lopper writes it: a key that is not here is one
 * that nobody meant to write.
 */
export const hubMetadata = z.strictObject({
  license: z.union([z.string(), z.array(z.string())]).optional(),
  license_name: z.string().optional(),
  license_link: z.string().optional(),
  language: z.array(z.string().regex(/^[a-z]{2,3}(-[\w-]+)?$|^code$|^multilingual$/i)).optional(),
  datasets: z.array(id).optional(),
  library_name: z.literal("transformers"),
  pipeline_tag: z.literal("text-generation"),
  base_model: z.union([id, z.array(id)]).optional(),
  base_model_relation: z.enum(["finetune", "quantized", "adapter", "merge"]).optional(),
  tags: z.array(z.string().min(1)),
  "model-index": z.array(z.strictObject({
    name: z.string().min(1),
    results: z.array(z.strictObject({
      task: named,
      dataset: named,
      metrics: z.array(named.extend({ value: z.number() })).min(1),
    })).min(1),
  })).optional(),
}).refine(({ base_model, base_model_relation }) =>
  (base_model === undefined) === (base_model_relation === undefined)
);
