import type { ConfigReader } from "../config_reader.ts";
import type { BlockTemplate, Family, FamilySettings } from "./family.ts";
import { gemma } from "./gemma.ts";
import { renamed } from "./llama_blocks.ts";

/**
 * Gemma 2 (arXiv 2408.00118): norms before and behind blocks, capped scores and logits, and a
 * window in every other layer.
 */
export const gemma2: Family = {
  ...gemma,
  modelType: "gemma2",
  className: "Gemma2",
  blocks: withNormsBehind(gemma.blocks),
  placement: "both",
  slidingWindow: "layer_types",
  slides: (layer) => layer % 2 === 0,
  keys: { hidden_act: "hidden_activation" },
  plainHeads: "divide",
  defaults: { ...gemma.defaults, kvHeads: 4, slidingWindow: 4096 },
  settings: (config) => {
    const logitCap = capOf(config, "final_logit_softcapping", 30);
    const softCap = capOf(config, "attn_logit_softcapping", 50);
    const { scaling, ...rest } = gemmaSettings(config);
    return {
      ...rest,
      scaling: { ...scaling, ...(logitCap !== null && { logitCap }) },
      attention: { ...rest.attention, softCap },
    };
  },
};

/** What Gemma 2 and 3 have in common. */
export function gemmaSettings(config: ConfigReader): FamilySettings {
  config.only("use_bidirectional_attention", false);
  return {
    scaling: { embedding: Math.sqrt(config.count("hidden_size")) },
    attention: { scale: config.positive("query_pre_attn_scalar", 256) ** -0.5 },
  };
}

/** A cap; a null says that there is none. */
export function capOf(config: ConfigReader, key: string, absent: number | null): number | null {
  const value = config.config[key] === undefined ? absent : config.config[key];
  return value === null ? null : config.positive(key, absent ?? undefined);
}

function withNormsBehind(blocks: readonly BlockTemplate[]): readonly BlockTemplate[] {
  const behind = {
    attention: "post_attention_layernorm.weight",
    mlp: "post_feedforward_layernorm.weight",
  };
  const named = renamed(blocks, { mlp: { norm: "pre_feedforward_layernorm.weight" } });
  return named.map(({ weights: { norm, ...weights }, ...block }) => {
    const tensor = behind[block.kind as keyof typeof behind];
    return { ...block, weights: { norm, post_norm: { ...norm, tensor }, ...weights } };
  });
}
