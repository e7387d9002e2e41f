import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Phi-3 and Phi-4 (arXiv 2404.14219): a Llama whose matrices with one input are stored as one. */
export const phi3: Family = {
  ...llama,
  modelType: "phi3",
  className: "Phi3",
  // No key of its config says that there are some.
  has: {},
  slidingWindow: "sliding_window",
  usual: (config) => ({
    ...config,
    ...inTheirWords("rope_scaling", config),
    ...inTheirWords("rope_parameters", config),
  }),
  plainHeads: "any",
  defaults: { ...llama.defaults, maxPositions: 4096, rmsNormEps: 1e-5 },
  packing: [
    { tensor: "self_attn.qkv_proj.weight", weights: ["q", "k", "v"] },
    { tensor: "mlp.gate_up_proj.weight", weights: ["gate", "up"] },
  ],
};

/** Its first configs say "yarn" for what is LongRoPE. */
function inTheirWords(key: string, config: Readonly<Record<string, unknown>>) {
  const rope = config[key];
  if (typeof rope !== "object" || rope === null) return {};
  const renamed = Object.entries(rope).map((
    [name, value],
  ) => [name, /^(?:rope_)?type$/.test(name) && value === "yarn" ? "longrope" : value]);
  return { [key]: Object.fromEntries(renamed) };
}
