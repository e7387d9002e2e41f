import { shown, UnsupportedModelError } from "@lopper/core";
import type { ConfigReader } from "../config_reader.ts";
import type { MixtureLayers } from "./family.ts";

/**
 * The first so many layers have an MLP.
 * @param absent what a config means that does not have the key.
 */
export function firstDense(key: string, absent: number): MixtureLayers {
  return {
    has: (layer, config) => layer >= wholeFrom0(config, key, absent),
    keys: (mixtures) => {
      const dense = mixtures.filter((is) => !is).length;
      return mixtures.lastIndexOf(false) === dense - 1 ? { [key]: dense } : null;
    },
  };
}

/** Every so manieth layer has a mixture, but for those that a list names (Qwen). */
export const SPARSE_STEPS: MixtureLayers = {
  has: (layer, config) =>
    (layer + 1) % config.count("decoder_sparse_step", 1) === 0 &&
    !numbers(config, "mlp_only_layers").includes(layer),
  keys: (mixtures) => ({
    decoder_sparse_step: 1,
    mlp_only_layers: mixtures.flatMap((is, layer) => is ? [] : [layer]),
  }),
};

/** Words of `mlp_layer_types`. */
const WORDS = ["dense", "sparse"];

/**
 * A list says of each layer whether it has a mixture.
 * @param otherwise which ones have one where there is no list.
 */
export function listedTypes(key: string, otherwise: MixtureLayers): MixtureLayers {
  return {
    has: (layer, config) => {
      const list = config.listOf("string", key, config.count("num_hidden_layers"));
      if (!list) return otherwise.has(layer, config);
      const strange = list.find((word) => !WORDS.includes(word));
      if (strange !== undefined) {
        throw new UnsupportedModelError(
          `${config.file}: ${key} has ${shown(strange)}; Lopper knows ${WORDS.join(" and ")}`,
        );
      }
      return list[layer] === "sparse";
    },
    keys: (mixtures) => ({ [key]: mixtures.map((is) => WORDS[is ? 1 : 0]) }),
  };
}

/** Every so manieth layer from one to another has a mixture (ERNIE 4.5). */
export const LAYERS_BETWEEN: MixtureLayers = {
  has: (layer, config) => {
    const last = config.number("moe_layer_end_index", -1);
    return layer >= wholeFrom0(config, "moe_layer_start_index", 1) &&
      (last === -1 || layer <= last) &&
      (layer + 1) % config.count("moe_layer_interval", 1) === 0;
  },
  keys: (mixtures) => {
    const first = mixtures.includes(true) ? mixtures.indexOf(true) : mixtures.length;
    const last = mixtures.includes(true) ? mixtures.lastIndexOf(true) : mixtures.length - 1;
    return mixtures.slice(first, last + 1).every((is) => is)
      ? { moe_layer_start_index: first, moe_layer_end_index: last, moe_layer_interval: 1 }
      : null;
  },
};

/** A whole number from 0 on. */
export function wholeFrom0(config: ConfigReader, key: string, absent: number): number {
  const value = config.number(key, absent);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new UnsupportedModelError(
    `${config.file}: ${key} is ${shown(value)}; Lopper needs a whole number from 0 on`,
  );
}

function numbers(config: ConfigReader, key: string): readonly unknown[] {
  if (!config.has(key)) return [];
  const list = config.config[key];
  if (Array.isArray(list) && list.every(Number.isInteger)) return list;
  throw new UnsupportedModelError(
    `${config.file}: ${key} is ${shown(list)}; Lopper needs a list of layers`,
  );
}
