import { z } from "zod";

const number = z.number().positive().nullish();
const divisors = z.array(z.number().positive()).nullish();

/** Rotary settings as config.json has them. */
export const ropeSchema = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: number,
  factor: number,
  low_freq_factor: number,
  high_freq_factor: number,
  original_max_position_embeddings: z.int().positive().nullish(),
  partial_rotary_factor: z.number().nullish(),
  attention_factor: number,
  beta_fast: z.number().nonnegative().nullish(),
  beta_slow: z.number().nonnegative().nullish(),
  mscale: z.number().nonnegative().nullish(),
  mscale_all_dim: z.number().nonnegative().nullish(),
  truncate: z.boolean().nullish(),
  short_factor: divisors,
  long_factor: divisors,
});
export type RopeJson = z.infer<typeof ropeSchema>;
