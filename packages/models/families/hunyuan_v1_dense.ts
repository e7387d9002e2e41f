import { isNumber, numberOf } from "../json_numbers.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed } from "./llama_blocks.ts";

type Json = Readonly<Record<string, unknown>>;

/** Tencent's Hunyuan without experts: norms of queries and keys, behind the rotation. */
export const hunyuanDense: Family = {
  ...llama,
  modelType: "hunyuan_v1_dense",
  className: "HunYuanDenseV1",
  blocks: renamed(llama.blocks, {
    attention: {
      q_norm: "self_attn.query_layernorm.weight",
      k_norm: "self_attn.key_layernorm.weight",
    },
  }),
  has: { ...llama.has, mlpBias: false, qkNorm: true },
  usual: withStretchedBase,
  plainHeads: "any",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5 },
  settings: () => ({ attention: { normAfterRotation: true } }),
};

/**
 * What its configs call "dynamic" has an `alpha`, by which the rotary base is stretched for texts
 * of any length (transformers 5.24, `compute_ntk_alpha_rope_parameters`): a base of its own says
 * the same, and other programs know it.
 */
export function withStretchedBase(config: Json): Json {
  const places = ["rope_scaling", "rope_parameters"].flatMap((key) => {
    const json = config[key];
    return isDynamic(json) && isNumber(json.alpha) && json.alpha > 0
      ? [{ key, theta: json.rope_theta, alpha: json.alpha }]
      : [];
  });
  if (places.length === 0) return config;
  const [{ alpha, theta = config.rope_theta ?? llama.defaults.ropeTheta }] = places;
  const { head_dim, hidden_size, num_attention_heads } = config;
  const headDim = head_dim ?? numberOf(hidden_size) / numberOf(num_attention_heads);
  // What is no number is refused by its name, as everywhere.
  if (!isNumber(theta) || !isNumber(headDim)) return config;
  const rope_theta = theta * alpha ** (headDim / (headDim - 2));
  return {
    ...config,
    rope_theta,
    ...Object.fromEntries(places.map(({ key }) => [key, { rope_type: "default", rope_theta }])),
  };
}

function isDynamic(json: unknown): json is Json {
  if (typeof json !== "object" || json === null) return false;
  const { rope_type, type } = json as Json;
  return (rope_type ?? type) === "dynamic";
}
