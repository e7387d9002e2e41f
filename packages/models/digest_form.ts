import type { Architecture } from "@lopper/core";
import { traitsOf } from "./config.ts";
import type { Family } from "./families/family.ts";
import { layersOfBlocks } from "./families/layer_blocks.ts";
import { endTokensOf } from "./folder/generation_config.ts";

interface Described {
  readonly architecture: Architecture;
  readonly family: Family;
  /** config.json as it stands. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * What the digest of a checkpoint has of its description: keys, their order and what they hold are
 * those under which models were described first, and never change. End tokens are those of
 * config.json.
 */
export function digestForm({ architecture, family, config }: Described) {
  const { hiddenSize, headDim, vocabSize, maxPositions, rmsNormEps, tiedEmbeddings } = architecture;
  const { rope, slidingWindow, fullAttention } = architecture;
  const traits = traitsOf(config, family);
  return {
    family: architecture.family,
    ...{ hiddenSize, headDim, vocabSize, maxPositions, rmsNormEps, tiedEmbeddings },
    biases: {
      qkv: traits.has("qkvBias"),
      output: traits.has("outputBias"),
      mlp: traits.has("mlpBias"),
    },
    qkNorm: family.qkNorm,
    ...(family.placement !== "pre" && { placement: family.placement }),
    rope,
    slidingWindow,
    ...(fullAttention && { fullAttention }),
    eosTokenIds: endTokensOf(config) as readonly number[],
    layers: layersOfBlocks(architecture),
  };
}
