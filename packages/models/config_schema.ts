import { z } from "zod";
import { ropeSchema } from "./rope_schema.ts";

/** More than any decoder has; they bound what a hostile config can make us allocate. */
export const MAX_LAYERS = 4096;
const size = z.int().positive().max(2 ** 31 - 1);

const layerSchema = z.strictObject({
  attention: z.strictObject({ query_heads: size, kv_heads: size }).nullable(),
  mlp: z.strictObject({ intermediate_size: size }).nullable(),
});

/**
 * How versions up to 0.3.0 said, under the key `lopper` of a config.json, that layers differ; and
 * how it is said of other formats that list their layers.
 */
const layerOverridesSchema = z.strictObject({
  schema: z.literal(1),
  layers: z.array(layerSchema).min(1).max(MAX_LAYERS),
});
export type LayerOverrides = z.infer<typeof layerOverridesSchema>;

/**
 * What layers say of themselves, by their numbers; `layersOfConfig` refuses what Lopper does not
 * read of it.
 */
const perLayerSchema = z.record(
  z.string().regex(/^\d{1,4}$/, "needs the number of a layer"),
  z.looseObject({
    num_attention_heads: size.optional(),
    num_key_value_heads: size.optional(),
    intermediate_size: size.optional(),
    num_experts: size.optional(),
    moe_intermediate_size: size.optional(),
    skip: z.array(z.string()).optional(),
  }),
);

/** The keys of a Hugging Face config.json that Lopper reads; all others are kept as they are. */
export const configSchema = z.looseObject({
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_experts: size.nullish(),
  moe_intermediate_size: size.nullish(),
  num_hidden_layers: size.max(MAX_LAYERS),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.nullish(),
  rms_norm_eps: z.number().positive().nullish(),
  hidden_act: z.string().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  // 0 is none.
  sliding_window: z.int().nonnegative().nullish(),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  max_window_layers: z.int().nonnegative().nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  partial_rotary_factor: z.number().nullish(),
  original_max_position_embeddings: size.nullish(),
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
  lopper: layerOverridesSchema.optional(),
  per_layer_config: perLayerSchema.nullish(),
});
export type ModelConfig = z.infer<typeof configSchema>;
