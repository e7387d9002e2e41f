import { UnsupportedModelError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";
import { missingKey } from "./missing_key.ts";

/** More than any decoder has; a file that says more is refused when the config is checked. */
const MAX_LAYERS = 4097;

/** What the file says of each layer; 0 for what it lacks. */
export interface LayerSettings {
  readonly queryHeads: readonly number[];
  readonly kvHeads: readonly number[];
  /** Channels of the feed-forward. */
  readonly widths: readonly number[];
  /** The same as a config.json has it under `lopper`. */
  readonly shapes: readonly unknown[];
}

/**
 * @param key of a setting, with the name of the architecture before it.
 * @param sparse layers may lack attention, or both of their blocks.
 * @throws {CheckpointFormatError} when a setting is missing, or no number for each layer.
 * @throws {UnsupportedModelError} for a layer that Lopper does not compute.
 */
export async function layerSettings(
  metadata: GgufMetadata,
  key: (name: string) => string,
  layers: number,
  sparse: boolean,
): Promise<LayerSettings> {
  const each = (name: string) => perLayer(metadata, key(name), layers, sparse ? 0 : 1);
  const needed = async (name: string) => await each(name) ?? missingKey(metadata, key(name));
  const queryHeads = await needed("attention.head_count");
  const kvHeads = await each("attention.head_count_kv") ?? queryHeads;
  const widths = await needed("feed_forward_length");
  const shapes = queryHeads.map((heads, layer) =>
    layerShape(metadata, key, { layer, heads, kvHeads: kvHeads[layer], width: widths[layer] })
  );
  return { queryHeads, kvHeads, widths, shapes };
}

/**
 * What the config says of a layer, blocks without heads or channels being absent.
 * @throws {UnsupportedModelError} for attention that mixes no tokens, and for attention without a
 *   feed-forward, whose output llama.cpp does not add.
 */
function layerShape(
  metadata: GgufMetadata,
  key: (name: string) => string,
  { layer, heads, kvHeads, width }: Readonly<
    Record<"layer" | "heads" | "kvHeads" | "width", number>
  >,
) {
  const refuse = (name: string, needed: string): never => {
    throw new UnsupportedModelError(
      `${metadata.file}: ${
        key(name)
      } is 0 for layer ${layer}, which has ${heads} heads; Lopper needs ${needed}`,
    );
  };
  if (heads > 0 && kvHeads === 0) refuse("attention.head_count_kv", "a KV head at least");
  if (heads > 0 && width === 0) refuse("feed_forward_length", "a channel beside attention");
  return {
    attention: heads > 0 ? { query_heads: heads, kv_heads: kvHeads } : null,
    mlp: width > 0 ? { intermediate_size: width } : null,
  };
}

/**
 * A setting of every layer, given once or as a list. @throws {CheckpointFormatError} when one is
 * below `least`.
 */
async function perLayer(
  metadata: GgufMetadata,
  key: string,
  layers: number,
  least: 0 | 1,
): Promise<readonly number[] | undefined> {
  const value = metadata.get(key);
  if (!value) return undefined;
  if (value.type !== "array") {
    const number = metadata.count(key)!;
    if (number < least) throw metadata.refuse(key, "it is 0 and needs to be positive");
    // The list is as long as the config's schema allows, whatever the file says.
    return Array.from({ length: Math.min(layers, MAX_LAYERS) }, () => number);
  }
  const list = await metadata.numbers(key);
  if (list?.length !== layers) {
    throw metadata.refuse(key, `it has ${list?.length} numbers for ${layers} layers`);
  }
  const odd = list.findIndex((n) => !Number.isInteger(n) || n < least);
  if (odd >= 0) {
    throw metadata.refuse(
      key,
      `it is ${list[odd]} for layer ${odd}, and Lopper needs a ${
        least === 0 ? "whole" : "positive"
      } number`,
    );
  }
  return list;
}
