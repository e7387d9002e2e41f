import { headsOf } from "@lopper/core";
import { configOfLayers, type Model, plainConfig, withOwnKeys } from "@lopper/models";

/**
 * The config.json beside ONNX files, for transformers.js: as many layers as have a key/value cache,
 * since it counts caches by them. Their shapes it reads from the graph; the config has the largest.
 * @param dataFiles number of files with weights for every graph, by the graph's file name.
 */
export function onnxConfig(
  { config, architecture, family }: Model,
  dataFiles: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const attended = architecture.blocks.filter((block) => block.attention);
  const heads = attended.map((block) => headsOf(block));
  return {
    ...withOwnKeys(
      {
        ...configOfLayers(plainConfig(config), attended.map(({ layer }) => layer), family),
        num_attention_heads: Math.max(...heads.map(({ queryHeads }) => queryHeads)),
        num_key_value_heads: Math.max(...heads.map(({ kvHeads }) => kvHeads)),
        head_dim: architecture.headDim,
      },
      family,
    ),
    "transformers.js_config": { use_external_data_format: dataFiles },
  };
}

/** A generation_config.json for a model that has none. */
export function generationConfig({ config }: Model): Record<string, unknown> {
  const keys = ["bos_token_id", "eos_token_id", "pad_token_id"];
  const tokens = keys.flatMap((key) =>
    config[key] === undefined || config[key] === null ? [] : [[key, config[key]]]
  );
  return { _from_model_config: true, ...Object.fromEntries(tokens) };
}
