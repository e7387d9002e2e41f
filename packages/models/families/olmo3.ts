import type { Family } from "./family.ts";
import { olmo2 } from "./olmo2.ts";

/** OLMo 3: OLMo 2 with three windows for each layer without, whose rotation alone is scaled. */
export const olmo3: Family = {
  ...olmo2,
  modelType: "olmo3",
  className: "Olmo3",
  slidingWindow: "layer_types",
  slides: (layer) => (layer + 1) % 4 !== 0,
  windowRope: { theta: 500_000 },
  defaults: { ...olmo2.defaults, ropeTheta: 500_000, slidingWindow: 4096 },
};
