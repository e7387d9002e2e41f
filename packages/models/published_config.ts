import {
  type Architecture,
  type Block,
  type BlockSize,
  hasExperts,
  innerWidth,
  outputProjection,
  PlanError,
  type PrunePlan,
  type Shape,
  sizeOf,
} from "@lopper/core";
import { z } from "zod";

const index = z.int().nonnegative().max(2 ** 31 - 1);
/** Layers by their numbers, one spelling each. */
const widths = z.record(z.string().regex(/^(0|[1-9]\d{0,4})$/), index);
const once = z.array(index).refine((layers) => new Set(layers).size === layers.length, {
  message: "a layer is named twice",
});
export const publishedSchema = z.strictObject({
  pruned_attn_idx: once,
  pruned_mlp_idx: once,
  pruned_attn_width: widths,
  pruned_mlp_width: widths,
});

/**
 * `pruning_config.json` of the published MultiPruner: removed layers in the order of removal, and
 * for every layer the kept query channels and intermediate channels as a prefix of the layer's
 * weights *in the published L1 ranking*, which the file does not name.
 */
export type PublishedConfig = z.infer<typeof publishedSchema>;

/** The two keys that speak of a block. */
type Part = "attn" | "mlp";

function partOf({ attention }: Block): Part {
  return attention ? "attn" : "mlp";
}

/**
 * The published config of a shape of a model. A removed block keeps the width that it had in the
 * model.
 */
export function toPublishedConfig(
  { layerCount, blocks }: Pick<Architecture, "layerCount" | "blocks">,
  shape: Shape,
  removalOrder: PrunePlan["removalOrder"],
): PublishedConfig {
  const layers = Array.from({ length: layerCount }, (_, layer) => layer);
  const numberOf = (part: Part, layer: number) =>
    blocks.findIndex((block) => block.layer === layer && partOf(block) === part);
  const removed = (part: Part) => {
    const kinds = new Set(blocks.filter((block) => partOf(block) === part).map((b) => b.kind));
    const ordered = removalOrder.filter(({ kind }) => kinds.has(kind)).map(({ layer }) => layer);
    const others = layers.filter((layer) =>
      !shape[numberOf(part, layer)] && !ordered.includes(layer)
    );
    return [...others, ...ordered];
  };
  const width = (part: Part) =>
    Object.fromEntries(layers.map((layer) => {
      const block = numberOf(part, layer);
      return [
        layer,
        block < 0 ? 0 : innerWidth(blocks[block], shape[block] ?? sizeOf(blocks[block])),
      ];
    }));
  return {
    pruned_attn_idx: removed("attn"),
    pruned_mlp_idx: removed("mlp"),
    pruned_attn_width: width("attn"),
    pruned_mlp_width: width("mlp"),
  };
}

/** The JSON text of a published config, laid out as the published implementation writes it. */
export function publishedConfigToJson(config: PublishedConfig): string {
  const list = (values: readonly number[]) =>
    values.length === 0 ? "[]" : `[\n${values.map((v) => `        ${v}`).join(",\n")}\n    ]`;
  const map = (record: Readonly<Record<string, number>>) =>
    `{\n${Object.entries(record).map(([k, v]) => `        "${k}": ${v}`).join(",\n")}\n    }`;
  return `{
    "pruned_attn_idx": ${list(config.pruned_attn_idx)},
    "pruned_mlp_idx": ${list(config.pruned_mlp_idx)},
    "pruned_attn_width": ${map(config.pruned_attn_width)},
    "pruned_mlp_width": ${map(config.pruned_mlp_width)}
}`;
}

/**
 * The shape that a published config leaves of a model.
 * @throws {PlanError} when the model has experts, or the config names other layers, or widths that
 *   are not whole units of this model.
 */
export function fromPublishedConfig(
  { layerCount, blocks }: Pick<Architecture, "layerCount" | "blocks">,
  config: PublishedConfig,
  file: string,
): Shape {
  if (hasExperts({ blocks })) {
    throw new PlanError(`${file}: it speaks of MLP channels, and this model has experts`);
  }
  for (const [key, record] of Object.entries(config)) {
    const named = Array.isArray(record) ? record : Object.keys(record).map(Number);
    const outside = named.find((layer) => layer >= layerCount);
    if (outside !== undefined) {
      throw new PlanError(
        `${file}: ${key} names layer ${outside}; the model has ${layerCount} layers`,
      );
    }
  }
  for (let layer = 0; layer < layerCount; layer++) {
    if (
      config.pruned_attn_width[layer] === undefined || config.pruned_mlp_width[layer] === undefined
    ) {
      throw new PlanError(`${file}: no width for layer ${layer}; every layer needs one`);
    }
  }
  return blocks.map((block) => sizeIn(config, block, file));
}

/** The size that a block has by a config; null where it is gone. */
function sizeIn(config: PublishedConfig, block: Block, file: string): BlockSize | null {
  const { layer } = block;
  const part = partOf(block);
  const stays = !config[`pruned_${part}_idx`].includes(layer);
  const channels = config[`pruned_${part}_width`][layer];
  const { dimension, width } = outputProjection(block).axes[1];
  const units = channels / width;
  const most = sizeOf(block)[dimension];
  if (Number.isInteger(units) && units >= (stays ? 1 : 0) && units <= most) {
    return stays ? { [dimension]: units } : null;
  }
  throw new PlanError(
    part === "attn"
      ? `${file}: layer ${layer} keeps ${channels} query channels; this model needs a multiple of ${width} ` +
        `up to ${width * most}`
      : `${file}: layer ${layer} keeps ${channels} MLP channels; this model has ${most}`,
  );
}
