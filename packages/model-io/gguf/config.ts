import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { generatingClass } from "../families/mod.ts";
import { finiteFloat32 } from "../finite_values.ts";
import { LLAMA3, llama3Divisor, llama3Parameters } from "../llama3_rope.ts";
import type { GgufHeader } from "./header.ts";
import type { GgufMetadata } from "./metadata.ts";
import { splitPart } from "./split_part.ts";
import { EMBEDDING, LM_HEAD, ROPE_FACTORS } from "./tensor_names.ts";

/** What Lopper knows of an architecture of llama.cpp. */
export interface Architecture {
  /** Its name in GGUF, with which its settings' keys begin. */
  readonly name: string;
  readonly modelType: string;
  /** Neighbouring channels of a head are rotated together, so that rows of q and k are interleaved in the file. */
  readonly interleaved: boolean;
  /** Layers may lack attention, or both of their blocks: their numbers are 0. */
  readonly sparse?: boolean;
}

/** Mistral's files say "llama" and are told apart by their sliding window; without one the two are the same. */
const ARCHITECTURES: readonly Architecture[] = [
  { name: "llama", modelType: "llama", interleaved: true },
  { name: "qwen2", modelType: "qwen2", interleaved: false },
  { name: "qwen3", modelType: "qwen3", interleaved: false },
  // Llama whose layers differ: what NVIDIA pruned (DeciLM, Nemotron), and what Lopper writes.
  { name: "deci", modelType: "llama", interleaved: true, sparse: true },
];

/** Keys of an architecture that are read below, or that say nothing about what is computed. */
const KNOWN_KEYS = new Set([
  "attention.head_count",
  "attention.head_count_kv",
  "attention.key_length",
  "attention.layer_norm_rms_epsilon",
  "attention.sliding_window",
  "attention.value_length",
  "block_count",
  "context_length",
  "embedding_length",
  "feed_forward_length",
  "rope.dimension_count",
  "rope.freq_base",
  "rope.scale_linear",
  "rope.scaling.factor",
  "rope.scaling.finetuned",
  "rope.scaling.original_context_length",
  "rope.scaling.type",
  "tensor_data_layout",
  "vocab_size",
]);
/** What leaves the computation as it is. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  "attention.causal": true,
  "rope.scaling.attn_factor": 1,
};

/** Writers compute the factors in float32 or float64. */
const FACTOR_TOLERANCE = 1e-5;

/** The version in which today's blocks are laid out, by every writer since 2023. */
const QUANTIZATION_VERSION = 2;

/** @throws {UnsupportedModelError} for an architecture that Lopper does not compute. */
export async function architectureOf(metadata: GgufMetadata): Promise<Architecture> {
  const { file } = metadata;
  const name = await metadata.text("general.architecture");
  if (name === undefined) throw lacks(metadata, "general.architecture");
  const known = ARCHITECTURES.find((architecture) => architecture.name === name);
  if (known) return known;
  throw new UnsupportedModelError(
    `${file}: general.architecture is ${shown(name)}; Lopper reads ${
      ARCHITECTURES.map((architecture) => architecture.name).join(", ")
    }`,
  );
}

/**
 * The config.json that the same model has as a Hugging Face folder.
 * @throws {CheckpointFormatError} when a setting is missing, or of another type or length than it needs to be.
 * @throws {UnsupportedModelError} for a setting that Lopper does not compute, by name.
 */
export async function configFromGguf(
  source: ByteSource,
  header: GgufHeader,
  architecture: Architecture,
): Promise<Record<string, unknown>> {
  const { metadata, tensors } = header;
  checkBlocks(header);
  const { modelType, sparse = false } = architecture;
  const key = (name: string) => `${architecture.name}.${name}`;
  // Before the keys that come with it: it is what the user knows.
  await checkScaling(metadata, key("rope.scaling.type"));
  checkKeys(metadata, key(""));
  const size = (name: string) => metadata.count(key(name)) ?? fail(metadata, key(name));

  const embedding = tensors.get(EMBEDDING);
  if (!embedding) {
    throw new CheckpointFormatError("the tensor is missing", {
      file: metadata.file,
      tensor: EMBEDDING,
    });
  }
  const layers = size("block_count");
  const each = (name: string) => perLayer(metadata, key(name), layers, sparse ? 0 : 1);
  const queryHeads = await each("attention.head_count") ??
    fail(metadata, key("attention.head_count"));
  const kvHeads = await each("attention.head_count_kv") ?? queryHeads;
  const widths = await each("feed_forward_length") ?? fail(metadata, key("feed_forward_length"));
  const layerShapes = queryHeads.map((heads, layer) =>
    layerShape(metadata, key, { layer, heads, kvHeads: kvHeads[layer], width: widths[layer] })
  );
  // The plain keys of a config describe layers that have everything; only what `lopper` says is used then.
  const largest = (list: readonly number[]) => Math.max(1, ...list);
  const hiddenSize = size("embedding_length");
  const headDim = metadata.count(key("attention.key_length")) ?? hiddenSize / queryHeads[0];
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    const found = metadata.count(key(name)) ?? headDim;
    if (found !== headDim) {
      throw new UnsupportedModelError(
        `${metadata.file}: ${key(name)} is ${found}; Lopper needs the head size, ${headDim}`,
      );
    }
  }
  const window = metadata.count(key("attention.sliding_window")) ?? 0;
  const type = modelType === "llama" && window > 0 ? "mistral" : modelType;
  const has = (tensor: string) => tensors.has(tensor);
  const uniform = [queryHeads, kvHeads, widths].every((list) => list.every((n) => n === list[0]));
  return {
    architectures: [generatingClass(type)],
    model_type: type,
    dtype: { F32: "float32", F16: "float16", BF16: "bfloat16" }[embedding.type.dtype],
    hidden_size: hiddenSize,
    intermediate_size: sparse ? largest(widths) : widths[0],
    num_hidden_layers: layers,
    num_attention_heads: sparse ? largest(queryHeads) : queryHeads[0],
    num_key_value_heads: sparse ? largest(kvHeads) : kvHeads[0],
    head_dim: headDim,
    vocab_size: vocabulary(metadata, key("vocab_size"), embedding.shape[0]),
    max_position_embeddings: size("context_length"),
    rms_norm_eps: shortest(
      metadata.number(key("attention.layer_norm_rms_epsilon")) ??
        fail(metadata, key("attention.layer_norm_rms_epsilon")),
    ),
    hidden_act: "silu",
    tie_word_embeddings: !has(LM_HEAD),
    ...((type === "llama" || type === "qwen3") && { attention_bias: has("blk.0.attn_q.bias") }),
    ...(type === "llama" && { mlp_bias: has("blk.0.ffn_gate.bias") }),
    ...(window > 0 && { sliding_window: window }),
    ...(type.startsWith("qwen") && {
      use_sliding_window: window > 0,
      // The file does not say in which layers: it may be in all of them.
      max_window_layers: 0,
    }),
    rope_parameters: await ropeParameters(source, header, key, headDim),
    ...specialTokens(metadata),
    ...(!uniform && {
      lopper: {
        schema: 1,
        layers: layerShapes,
      },
    }),
  };
}

/**
 * Whether a file is a whole language model of an architecture that Lopper computes. Nothing else is asked of one that is not.
 * @throws {UnsupportedModelError} saying what it is.
 */
export async function checkKind(metadata: GgufMetadata): Promise<void> {
  const { file } = metadata;
  // Parts behind the first say nothing else.
  checkWhole(metadata);
  const kind = await metadata.text("general.type") ?? "model";
  if (kind === "adapter") {
    throw new UnsupportedModelError(
      `${file}: this is a LoRA adapter, no model: merge it first, with llama.cpp's llama-export-lora`,
    );
  }
  if (kind !== "model") {
    throw new UnsupportedModelError(
      `${file}: general.type is ${shown(kind)}; Lopper needs "model"`,
    );
  }
  await architectureOf(metadata);
}

/** @throws {UnsupportedModelError} when the file holds a part of a model only. */
function checkWhole(metadata: GgufMetadata) {
  const { file } = metadata;
  const parts = metadata.count("split.count") ?? 1;
  if (parts <= 1) return;
  const part = (metadata.count("split.no") ?? 0) + 1;
  const join = splitPart(file)?.join ??
    "join them with llama-gguf-split --merge FIRST_PART WHOLE_FILE";
  throw new UnsupportedModelError(`${file}: it is part ${part} of ${parts} of a model; ${join}`);
}

/** @throws {UnsupportedModelError} when blocks of quantised values are laid out in another way. */
function checkBlocks({ metadata, tensors }: GgufHeader) {
  const version = metadata.count("general.quantization_version") ?? QUANTIZATION_VERSION;
  if (
    version !== QUANTIZATION_VERSION && [...tensors.values()].some(({ type }) => type.dequantize)
  ) {
    throw new UnsupportedModelError(
      `${metadata.file}: general.quantization_version is ${version}; Lopper reads ${QUANTIZATION_VERSION}`,
    );
  }
}

/** @throws {UnsupportedModelError} for a way of scaling rotary angles that Lopper does not compute. */
async function checkScaling(metadata: GgufMetadata, key: string) {
  const type = await metadata.text(key) ?? "none";
  if (type === "none" || type === "linear") return;
  throw new UnsupportedModelError(
    `${metadata.file}: ${key} is ${shown(type)}; Lopper computes none and linear`,
  );
}

/** A key that Lopper does not know may change what the model computes: unless it says that there is no such thing. */
function checkKeys(metadata: GgufMetadata, prefix: string) {
  for (const key of metadata.keys()) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : null;
    if (name === null || KNOWN_KEYS.has(name)) continue;
    const value = metadata.get(key)!;
    const found = "value" in value ? value.value : value.type;
    if (found === 0 || found === false || NEUTRAL[name] === found) continue;
    throw new UnsupportedModelError(
      `${metadata.file}: ${key} is ${
        "value" in value ? found : `a value of type ${found}`
      }, and Lopper does not know what that changes`,
    );
  }
}

/**
 * What the config says of a layer, blocks without heads or channels being absent.
 * @throws {UnsupportedModelError} for attention that mixes no tokens, and for attention without a feed-forward, whose output
 *   llama.cpp does not add.
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

/** A setting of every layer, given once or as a list. @throws {CheckpointFormatError} when one is below `least`. */
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

/** More than any decoder has; a file that says more is refused when the config is checked. */
const MAX_LAYERS = 4097;

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

async function ropeParameters(
  source: ByteSource,
  header: GgufHeader,
  key: (name: string) => string,
  headDim: number,
): Promise<Record<string, unknown>> {
  const { metadata } = header;
  const theta = shortest(metadata.number(key("rope.freq_base")) ?? 10_000);
  const type = await metadata.text(key("rope.scaling.type")) ?? "none";
  const factor = metadata.number(key("rope.scaling.factor")) ??
    metadata.number(key("rope.scale_linear")) ?? 1;
  const linear = type === "linear" || (type === "none" && metadata.get(key("rope.scale_linear")));
  const divided = await llama3Factor(source, header, theta, headDim);
  if (divided !== null && type !== "none") {
    throw new UnsupportedModelError(
      `${metadata.file}: ${key("rope.scaling.type")} is ${
        shown(type)
      } beside ${ROPE_FACTORS}; Lopper computes one of the two`,
    );
  }
  if (divided !== null) {
    return llama3Parameters(theta, divided);
  }
  if (linear && factor !== 1) {
    return { rope_type: "linear", rope_theta: theta, factor: shortest(factor) };
  }
  return { rope_type: "default", rope_theta: theta };
}

/**
 * The factor of Llama 3's scaling, of which the file keeps only what each frequency is divided by; null without scaling.
 * @throws {UnsupportedModelError} when the divisors are not those of Llama 3.1 to 3.3.
 */
async function llama3Factor(
  source: ByteSource,
  { tensors }: GgufHeader,
  theta: number,
  headDim: number,
): Promise<number | null> {
  const tensor = tensors.get(ROPE_FACTORS);
  if (!tensor) return null;
  const location = { file: source.name, tensor: ROPE_FACTORS, offset: tensor.offset };
  if (tensor.type.name !== "F32" || tensor.shape.join() !== String(headDim / 2)) {
    throw new CheckpointFormatError(
      `it is ${tensor.type.name} [${tensor.shape.join(", ")}] and needs to be F32 [${headDim / 2}]`,
      location,
    );
  }
  const bytes = await source.read(tensor.offset, tensor.byteLength);
  const info = { ...tensor, dtype: "F32" as const, file: source.name };
  const divisors = finiteFloat32(info, bytes);
  const factor = divisors.reduce((most, d) => Math.max(most, d), 1);
  if (divisors.every((d) => d === 1)) return null;
  const { low, high, positions } = LLAMA3;
  const matches = divisors.every((divisor, i) =>
    Math.abs(divisor / llama3Divisor(theta, headDim, i, factor) - 1) <= FACTOR_TOLERANCE
  );
  if (matches) return shortest(factor);
  throw new UnsupportedModelError(
    `${source.name}: ${ROPE_FACTORS} holds frequency factors that are not those of Llama 3.1 (low ${low}, high ${high}, ` +
      `${positions} positions), the only ones that Lopper computes`,
  );
}

/** The shortest decimal that is this float32: what a config.json had before it became one. */
function shortest(value: number): number {
  const wanted = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === wanted) return short;
  }
  return value;
}

function lacks(metadata: GgufMetadata, key: string): CheckpointFormatError {
  return new CheckpointFormatError(`the metadata lacks ${key}`, { file: metadata.file });
}

function fail(metadata: GgufMetadata, key: string): never {
  throw lacks(metadata, key);
}
