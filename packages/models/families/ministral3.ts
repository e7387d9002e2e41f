import { UnsupportedModelError } from "@lopper/core";
import type { Family } from "./family.ts";
import { mistral } from "./mistral.ts";

/**
 * Ministral 3: a Mistral with a rotation by YaRN, whose queries grow beyond the length from which
 * that was scaled.
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
    const { original_max_position_embeddings: length, llama_4_scaling_beta: rate } =
      rotation as Readonly<Record<string, unknown>> | null ?? {};
    const refuse = (what: string): never => {
      throw new UnsupportedModelError(
        `${file}: rope_parameters has no ${what} by which queries of Ministral 3 grow`,
      );
    };
    if (typeof rate !== "number" || rate < 0) return refuse("llama_4_scaling_beta, the rate");
    if (typeof length !== "number") {
      return refuse("original_max_position_embeddings, the length from which on,");
    }
    return rate === 0 ? {} : { attention: { queryGrowth: { rate, length } } };
  },
};
