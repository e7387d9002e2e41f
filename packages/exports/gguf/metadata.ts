import { firstRope, fullyAttended } from "@lopper/core";
import type { MetadataEntry, TensorTypeName } from "@lopper/formats";
import type { Model } from "@lopper/models";
import { type GgufArchitecture, layerNumbers } from "./architecture.ts";
import type { GgufLayer } from "./layers.ts";

/** What a file is called by the type of most of its matrices (llama.h, `enum llama_ftype`). */
const FILE_TYPES: Readonly<Record<TensorTypeName, number>> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 7 };
/** The version in which today's blocks are laid out (ggml.h, GGML_QNT_VERSION). */
const QUANTIZATION_VERSION = 2;

/**
 * What llama.cpp needs to know of a model besides its tokenizer (specification: ggml/docs/gguf.md,
 * "Standardized key-value pairs").
 */
export function modelEntries(
  { architecture }: Model,
  title: string,
  arch: GgufArchitecture,
  layers: readonly GgufLayer[],
  type: TensorTypeName,
): readonly MetadataEntry[] {
  const text = (key: string, value: string): MetadataEntry => ({ key, type: "string", value });
  const count = (key: string, value: number): MetadataEntry => ({ key, type: "uint32", value });
  const real = (key: string, value: number): MetadataEntry => ({ key, type: "float32", value });
  const quantised = type === "Q8_0" || type === "Q4_0";
  const { queryHeads, kvHeads, widths } = layerNumbers(layers, quantised);
  const perLayer = (key: string, values: readonly number[]): MetadataEntry =>
    arch.byLayer ? { key, type: "array", elementType: "int32", values } : count(key, values[0]);
  const own = (name: string) => `${arch.name}.${name}`;
  const rope = firstRope(architecture);
  const scaling = rope?.scaling;
  const window = fullyAttended(architecture);
  return [
    text("general.architecture", arch.name),
    text("general.type", "model"),
    text("general.name", title),
    count("general.file_type", FILE_TYPES[type]),
    ...(quantised ? [count("general.quantization_version", QUANTIZATION_VERSION)] : []),
    count(own("block_count"), layers.length),
    count(own("context_length"), architecture.maxPositions),
    count(own("embedding_length"), architecture.hiddenSize),
    perLayer(own("feed_forward_length"), widths),
    perLayer(own("attention.head_count"), queryHeads),
    perLayer(own("attention.head_count_kv"), kvHeads),
    count(own("attention.key_length"), architecture.headDim),
    count(own("attention.value_length"), architecture.headDim),
    real(own("attention.layer_norm_rms_epsilon"), architecture.norm.eps),
    // llama.cpp does not read it here: up to that many tokens, which is all that Lopper computes,
    // it makes no difference.
    ...(window === null ? [] : [count(own("attention.sliding_window"), window)]),
    count(own("rope.dimension_count"), architecture.headDim),
    ...(rope ? [real(own("rope.freq_base"), rope.theta)] : []),
    ...(scaling?.type === "linear"
      ? [text(own("rope.scaling.type"), "linear"), real(own("rope.scaling.factor"), scaling.factor)]
      : []),
    count(own("vocab_size"), architecture.vocabSize),
  ];
}
