import type { Family } from "./family.ts";
import { capOf, gemma2, gemmaSettings } from "./gemma2.ts";

/**
 * The text model of Gemma 3 (arXiv 2503.19786): norms of queries and keys in place of caps, five
 * windows for each layer without, and a rotary embedding for each of both.
 */
export const gemma3: Family = {
  ...gemma2,
  modelType: "gemma3_text",
  className: "Gemma3",
  has: { ...gemma2.has, qkNorm: true },
  slides: (layer, config) => (layer + 1) % config.count("sliding_window_pattern", 6) !== 0,
  windowRope: { key: "rope_local_base_freq", theta: 10_000 },
  defaults: { ...gemma2.defaults, maxPositions: 131_072, ropeTheta: 1_000_000 },
  settings: (config) => {
    // transformers has the key, and computes nothing by it.
    config.only("attn_logit_softcapping");
    const logitCap = capOf(config, "final_logit_softcapping", null);
    const { scaling, ...rest } = gemmaSettings(config);
    return { ...rest, scaling: { ...scaling, ...(logitCap !== null && { logitCap }) } };
  },
};
