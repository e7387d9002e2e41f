import { UnsupportedModelError } from "@lopper/core";
import type { Family } from "./family.ts";
import { mistral } from "./mistral.ts";

/**
 * Ministral 3: a Mistral with a rotation by YaRN. Beyond the length from which it was scaled its
 * queries grow with their positions; up to there they do not, and longer texts are not computed.
 */
export const ministral3: Family = {
  ...mistral,
  modelType: "ministral3",
  className: "Ministral3",
  defaults: {
    ...mistral.defaults,
    maxPositions: 262_144,
    rmsNormEps: 1e-5,
    headDim: 128,
    slidingWindow: null,
  },
  settings: ({ config, file }) => {
    const rotation = config.rope_parameters ?? config.rope_scaling;
    const length = (rotation as Readonly<Record<string, unknown>> | null | undefined)
      ?.original_max_position_embeddings;
    if (typeof length === "number") return { maxPositions: length };
    throw new UnsupportedModelError(
      `${file}: rope_parameters has no original_max_position_embeddings; Lopper needs the length ` +
        "up to which queries of Ministral 3 are not scaled",
    );
  },
};
