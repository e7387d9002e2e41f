import { headsOf, isUniform } from "@lopper/core";
import {
  configOfLayers,
  type Model,
  plainConfig,
  withOwnKeys,
  withOwnLayers,
  writtenConfig,
} from "@lopper/models";

/**
 * The config.json beside ONNX files, for transformers.js: as many layers as have a key/value cache,
 * since it counts caches by them. Their shapes it reads from the graph; the config has the largest.
 * What the model's own layers are is said beside that, for Lopper.
 * @param dataFiles number of files with weights for every graph, by the graph's file name.
 */
export function onnxConfig(
  model: Model,
  dataFiles: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const { config, architecture, family } = model;
  const attended = architecture.blocks.filter((block) => block.attention);
  const heads = attended.map((block) => headsOf(block));
  const plain = plainConfig(config);
  const layers = attended.map(({ layer }) => layer);
  const written = withOwnKeys(
    {
      ...configOfLayers(plain, layers, family) ?? { ...plain, num_hidden_layers: layers.length },
      num_attention_heads: Math.max(...heads.map(({ queryHeads }) => queryHeads)),
      num_key_value_heads: Math.max(...heads.map(({ kvHeads }) => kvHeads)),
      head_dim: architecture.headDim,
    },
    family,
  );
  return {
    ...isUniform(architecture) ? written : withOwnLayers(written, ownConfig(model, written)),
    "transformers.js_config": { use_external_data_format: dataFiles },
  };
}

/** The config of the model's own layers, called what `written` calls it, and without code. */
function ownConfig(
  model: Model,
  { model_type, architectures }: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { auto_map: _, ...own } = writtenConfig(model);
  return { ...own, model_type, ...(architectures !== undefined && { architectures }) };
}

/** A generation_config.json for a model that has none. */
export function generationConfig({ config }: Model): Record<string, unknown> {
  const keys = ["bos_token_id", "eos_token_id", "pad_token_id"];
  const tokens = keys.flatMap((key) =>
    config[key] === undefined || config[key] === null ? [] : [[key, config[key]]]
  );
  return { _from_model_config: true, ...Object.fromEntries(tokens) };
}
