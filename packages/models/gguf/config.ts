import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import type { ByteSource, GgufHeader, GgufMetadata } from "@lopper/formats";
import { withOwnKeys } from "../config_defaults.ts";
import type { Family, Setting, Trait } from "../families/family.ts";
import { familyOf, generatingClass } from "../families/mod.ts";
import type { GgufArchitecture, GgufFacts } from "./architecture.ts";
import { checkBlocks, checkKeys, checkScaling } from "./check_settings.ts";
import { type LayerSettings, layerSettings } from "./layer_settings.ts";
import { missingKey } from "./missing_key.ts";
import { headChannels, ropeParameters } from "./rope_settings.ts";
import { SCALING } from "./scaling_settings.ts";
import { shortest } from "./shortest.ts";
import { EMBEDDING, LM_HEAD } from "./tensor_names.ts";
import { epsilonKey } from "./usual_keys.ts";
import { FULL, SLIDING } from "../window_config.ts";
import { type FoundWindows, windowSettings } from "./window_settings.ts";

/**
 * The config.json that the same model has as a Hugging Face folder, in the keys of its family.
 * @throws {CheckpointFormatError} when a setting is missing, or of another type or length than it
 *   needs to be.
 * @throws {UnsupportedModelError} for a setting that Lopper does not compute, by name.
 */
export async function configFromGguf(
  source: ByteSource,
  header: GgufHeader,
  arch: GgufArchitecture,
): Promise<Record<string, unknown>> {
  const { metadata, tensors } = header;
  checkBlocks(header);
  const key = (name: string) => `${arch.name}.${name}`;
  // Before the keys that come with it: it is what the user knows.
  await checkScaling(metadata, key("rope.scaling.type"));
  await checkKeys(header, arch);
  const size = (name: string) => metadata.count(key(name)) ?? missingKey(metadata, key(name));

  const embedding = tensors.get(EMBEDDING);
  if (!embedding) {
    throw new CheckpointFormatError("the tensor is missing", {
      file: metadata.file,
      tensor: EMBEDDING,
    });
  }
  const layers = size("block_count");
  const only = [arch.layers, arch.slopedLayers].filter((count) => count !== undefined);
  if (only.length > 0 && !only.includes(layers)) {
    throw new UnsupportedModelError(
      `${metadata.file}: ${
        key("block_count")
      } is ${layers}; Lopper computes files of ${arch.name} of ${only.join(" or ")} layers`,
    );
  }
  const each = await layerSettings(metadata, key, layers, arch.sparse ?? false);
  const hiddenSize = size("embedding_length");
  const [queryHeads] = each.queryHeads;
  const headDim = headChannels(metadata, key, hiddenSize / queryHeads);
  const facts: GgufFacts = { layers, hiddenSize, headDim, queryHeads };
  const windows = await windowSettings(metadata, arch, each.queryHeads.length);
  const scaling = await metadata.text(key(SCALING.type));
  const type = modelType(header, arch, { windows, scaling });
  const family = familyOf(type, metadata.file);
  const usual = {
    architectures: [generatingClass(type)],
    model_type: type,
    dtype: { F32: "float32", F16: "float16", BF16: "bfloat16" }[embedding.type.dtype],
    hidden_size: hiddenSize,
    ...sizesOfLayers(each, arch),
    num_hidden_layers: layers,
    head_dim: headDim,
    vocab_size: vocabulary(metadata, key("vocab_size"), embedding.shape[0]),
    max_position_embeddings: size("context_length"),
    rms_norm_eps: epsilon(metadata, key(epsilonKey({ kind: family.norm }))),
    hidden_act: arch.activation ?? "silu",
    tie_word_embeddings: !tensors.has(LM_HEAD),
    ...traitKeys(header, family),
    ...windowKeys(windows, family),
    rope_parameters: await ropeParameters(source, header, { arch, family, headDim, windows }),
    ...ownSettings(header, arch, facts),
    ...specialTokens(metadata),
  };
  return withOwnKeys(usual, family);
}

/** What config.json calls a model of an architecture. */
function modelType(
  { tensors }: GgufHeader,
  { modelType, windowed = modelType, unscaled, biased, shared }: GgufArchitecture,
  { windows: { tokens }, scaling }: { windows: FoundWindows; scaling: string | undefined },
): string {
  if (unscaled !== undefined && scaling !== "yarn") return unscaled;
  const has = (weight: string) => tensors.has(`blk.0.${weight}.bias`);
  if (biased !== undefined && has("attn_q") && !has("attn_output")) return biased;
  if (shared !== undefined && tensors.has("blk.0.ffn_gate_shexp.weight")) return shared;
  return tokens > 0 ? windowed : modelType;
}

function sizesOfLayers(
  { queryHeads, kvHeads, widths, shapes }: LayerSettings,
  { sparse }: GgufArchitecture,
) {
  // The plain keys of a config describe layers that have everything; only what `lopper` says is
  // used then.
  const plain = (list: readonly number[]) => sparse ? Math.max(1, ...list) : list[0];
  const uniform = [queryHeads, kvHeads, widths].every((list) => list.every((n) => n === list[0]));
  return {
    intermediate_size: plain(widths),
    num_attention_heads: plain(queryHeads),
    num_key_value_heads: plain(kvHeads),
    ...(!uniform && { lopper: { schema: 1, layers: shapes } }),
  };
}

function epsilon(metadata: GgufMetadata, key: string): number {
  return shortest(metadata.number(key) ?? missingKey(metadata, key));
}

/** What the architecture says in keys of its own, and what follows from it alone. */
function ownSettings(
  { metadata, tensors }: GgufHeader,
  { name, settings = [], implied }: GgufArchitecture,
  facts: GgufFacts,
): Record<string, unknown> {
  const found = settings.flatMap(({ key, config, absent, only }): [string, unknown][] => {
    const full = `${name}.${key}`;
    const value = metadata.get(full)?.type === "bool"
      ? metadata.flag(full)
      : metadata.number(full) ?? absent;
    if (value === undefined) return [];
    if (only !== undefined && value !== only) {
      throw new UnsupportedModelError(
        `${metadata.file}: ${full} is ${
          shown(value)
        }; Lopper computes files of ${name} with ${only}`,
      );
    }
    if (config === undefined) return [];
    return [[config, typeof value === "boolean" ? value : shortest(value)]];
  });
  const has = (tensor: string) => tensors.has(tensor);
  return { ...implied?.(facts, has), ...Object.fromEntries(found) };
}

/** Tensors of which one is there where a model has what its family may have. */
const SIGNS: Readonly<Partial<Record<Trait, readonly string[]>>> = {
  qkvBias: ["attn_q.bias", "attn_qkv.bias"],
  outputBias: ["attn_output.bias"],
  mlpBias: ["ffn_up.bias"],
  qkNorm: ["attn_q_norm.weight"],
};

/** What families say in keys of their own, and GGUF by the tensors that there are. */
function traitKeys({ tensors }: GgufHeader, { has }: Family): Record<string, boolean> {
  const found = (Object.entries(has) as [Trait, Setting][]).flatMap(([trait, setting]) => {
    const signs = SIGNS[trait];
    if (typeof setting === "boolean" || !signs) return [];
    return [[setting.key, signs.some((name) => tensors.has(`blk.0.${name}`))] as const];
  });
  // One key for several: they are there together, or tensors are missing.
  return found.reduce<Record<string, boolean>>(
    (keys, [key, is]) => ({ ...keys, [key]: keys[key] || is }),
    {},
  );
}

function windowKeys({ tokens, slides }: FoundWindows, { slidingWindow }: Family) {
  return {
    ...(tokens > 0 && { sliding_window: tokens }),
    // Absence would mean the family's own.
    ...(tokens === 0 && slidingWindow === "layer_types" && { sliding_window: null }),
    ...(slidingWindow === "use_sliding_window" && {
      use_sliding_window: tokens > 0,
      // The file does not say in which layers: it may be in all of them.
      max_window_layers: 0,
    }),
    ...(slidingWindow === "layer_types" && {
      layer_types: slides.map((does) => does ? SLIDING : FULL),
    }),
  };
}

function vocabulary(metadata: GgufMetadata, key: string, rows: number): number {
  const declared = metadata.count(key) ?? rows;
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const listed = tokens?.type === "array" ? tokens.count : rows;
  if (declared === rows && listed <= rows) return rows;
  const [name, found] = declared === rows ? ["tokenizer.ggml.tokens", listed] : [key, declared];
  throw metadata.refuse(name, `${found} tokens are declared and ${EMBEDDING} has ${rows} rows`);
}

function specialTokens(metadata: GgufMetadata): Record<string, unknown> {
  const id = (name: string) => metadata.count(`tokenizer.ggml.${name}_token_id`);
  const ends = [...new Set([id("eos"), id("eot")].filter((end) => end !== undefined))];
  const [bos, pad] = [id("bos"), id("padding")];
  return {
    ...(bos !== undefined && { bos_token_id: bos }),
    ...(ends.length > 0 && { eos_token_id: ends.length === 1 ? ends[0] : ends }),
    ...(pad !== undefined && { pad_token_id: pad }),
  };
}
