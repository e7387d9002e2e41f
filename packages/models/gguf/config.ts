import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import type { ByteSource, GgufHeader, GgufMetadata } from "@lopper/formats";
import { generatingClass } from "../families/mod.ts";
import type { GgufArchitecture } from "./architecture.ts";
import { checkBlocks, checkKeys, checkScaling } from "./check_settings.ts";
import { layerSettings } from "./layer_settings.ts";
import { missingKey } from "./missing_key.ts";
import { ropeParameters } from "./rope_settings.ts";
import { shortest } from "./shortest.ts";
import { EMBEDDING, LM_HEAD } from "./tensor_names.ts";

/**
 * The config.json that the same model has as a Hugging Face folder.
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
  const { modelType, sparse = false } = arch;
  const key = (name: string) => `${arch.name}.${name}`;
  // Before the keys that come with it: it is what the user knows.
  await checkScaling(metadata, key("rope.scaling.type"));
  checkKeys(metadata, key(""));
  const size = (name: string) => metadata.count(key(name)) ?? missingKey(metadata, key(name));

  const embedding = tensors.get(EMBEDDING);
  if (!embedding) {
    throw new CheckpointFormatError("the tensor is missing", {
      file: metadata.file,
      tensor: EMBEDDING,
    });
  }
  const layers = size("block_count");
  const each = await layerSettings(metadata, key, layers, sparse);
  const { queryHeads, kvHeads, widths } = each;
  const hiddenSize = size("embedding_length");
  const headDim = headSize(metadata, key, hiddenSize / queryHeads[0]);
  const window = metadata.count(key("attention.sliding_window")) ?? 0;
  const type = modelType === "llama" && window > 0 ? "mistral" : modelType;
  // The plain keys of a config describe layers that have everything; only what `lopper` says is
  // used then.
  const plain = (list: readonly number[]) => sparse ? Math.max(1, ...list) : list[0];
  const uniform = [queryHeads, kvHeads, widths].every((list) => list.every((n) => n === list[0]));
  return {
    architectures: [generatingClass(type)],
    model_type: type,
    dtype: { F32: "float32", F16: "float16", BF16: "bfloat16" }[embedding.type.dtype],
    hidden_size: hiddenSize,
    intermediate_size: plain(widths),
    num_hidden_layers: layers,
    num_attention_heads: plain(queryHeads),
    num_key_value_heads: plain(kvHeads),
    head_dim: headDim,
    vocab_size: vocabulary(metadata, key("vocab_size"), embedding.shape[0]),
    max_position_embeddings: size("context_length"),
    rms_norm_eps: shortest(
      metadata.number(key("attention.layer_norm_rms_epsilon")) ??
        missingKey(metadata, key("attention.layer_norm_rms_epsilon")),
    ),
    hidden_act: "silu",
    tie_word_embeddings: !tensors.has(LM_HEAD),
    ...biasesAndWindow(header, type, window),
    rope_parameters: await ropeParameters(source, header, key, headDim),
    ...specialTokens(metadata),
    ...(!uniform && { lopper: { schema: 1, layers: each.shapes } }),
  };
}

/** @throws {UnsupportedModelError} when values or rotary embeddings have another size than keys. */
function headSize(metadata: GgufMetadata, key: (name: string) => string, usual: number): number {
  const headDim = metadata.count(key("attention.key_length")) ?? usual;
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    const found = metadata.count(key(name)) ?? headDim;
    if (found !== headDim) {
      throw new UnsupportedModelError(
        `${metadata.file}: ${key(name)} is ${found}; Lopper needs the head size, ${headDim}`,
      );
    }
  }
  return headDim;
}

/** What families say in keys of their own, and GGUF by the tensors that there are. */
function biasesAndWindow({ tensors }: GgufHeader, type: string, window: number) {
  const has = (tensor: string) => tensors.has(tensor);
  return {
    ...((type === "llama" || type === "qwen3") && { attention_bias: has("blk.0.attn_q.bias") }),
    ...(type === "llama" && { mlp_bias: has("blk.0.ffn_gate.bias") }),
    ...(window > 0 && { sliding_window: window }),
    ...(type.startsWith("qwen") && {
      use_sliding_window: window > 0,
      // The file does not say in which layers: it may be in all of them.
      max_window_layers: 0,
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
