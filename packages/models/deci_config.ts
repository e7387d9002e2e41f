import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { z } from "zod";
import { numberOf } from "./json_numbers.ts";

/** How DeciLM's layout is named in config.json: that of models that NVIDIA pruned. */
export const DECI_MODEL_TYPE = "nemotron-nas";
/** Widths of feed-forwards are multiples of this. */
const WIDTH_UNIT = 256;

const size = z.int().positive().max(2 ** 31 - 1);
const replaced = { no_op: z.boolean().optional(), replace_with_linear: z.boolean().optional() };
const blocksSchema = z.array(z.looseObject({
  attention: z.looseObject({ ...replaced, n_heads_in_group: size.nullish() }),
  ffn: z.looseObject({
    ...replaced,
    ffn_mult: z.number().positive().nullish(),
    intermediate_size: size.nullish(),
  }),
})).min(1).max(4096);

/** The width that the layout has for so many channels. */
export function deciWidth(channels: number): number {
  return Math.ceil(channels / WIDTH_UNIT) * WIDTH_UNIT;
}

/** The multiplier that stands for a width; readers round to six places. */
export function deciMultiplier(width: number, hiddenSize: number): number {
  return Math.round(1e6 * 3 * width / (2 * hiddenSize)) / 1e6;
}

/**
 * The width that a multiplier means (vLLM, models/nemotron_nas.py,
 * `_ffn_mult_to_intermediate_size`).
 */
function widthOfMultiplier(multiplier: number, hiddenSize: number): number {
  return deciWidth(Math.trunc(2 * multiplier * hiddenSize / 3));
}

/**
 * A config.json in DeciLM's layout as that of a Llama whose layers have shapes of their own; any
 * other as it is.
 * @throws {CheckpointFormatError} when `block_configs` is malformed.
 * @throws {UnsupportedModelError} when a linear layer stands for a block.
 */
export function withoutDeciLayout(
  config: Readonly<Record<string, unknown>>,
  file: string,
): Readonly<Record<string, unknown>> {
  if (config.model_type !== DECI_MODEL_TYPE) return config;
  const { block_configs, auto_map: _, ...rest } = config;
  const parsed = blocksSchema.safeParse(block_configs);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    throw new CheckpointFormatError(`at ${["block_configs", ...path].join(".")}: ${message}`, {
      file,
    });
  }
  const malformed = (layer: number, what: string) =>
    new CheckpointFormatError(`block_configs.${layer} has ${what}`, { file });
  const queryHeads = numberOf(config.num_attention_heads);
  const layers = parsed.data.map(({ attention, ffn }, layer) => {
    if (attention.replace_with_linear || ffn.replace_with_linear) {
      throw new UnsupportedModelError(
        `${file}: block_configs.${layer} replaces a block by a linear layer; Lopper computes attention and MLPs only`,
      );
    }
    const { n_heads_in_group: group } = attention;
    if (!attention.no_op && (!group || queryHeads % group !== 0)) {
      throw malformed(layer, `${group ?? "no"} heads in a group of ${queryHeads}`);
    }
    const width = ffn.ffn_mult
      ? widthOfMultiplier(ffn.ffn_mult, numberOf(config.hidden_size))
      : ffn.intermediate_size;
    if (!ffn.no_op && !width) throw malformed(layer, "neither ffn_mult nor intermediate_size");
    return {
      attention: attention.no_op
        ? null
        : { query_heads: queryHeads, kv_heads: queryHeads / group! },
      mlp: ffn.no_op ? null : { intermediate_size: width! },
    };
  });
  return {
    ...rest,
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    intermediate_size: Math.max(1, ...layers.map(({ mlp }) => mlp?.intermediate_size ?? 1)),
    lopper: { schema: 1, layers },
  };
}
