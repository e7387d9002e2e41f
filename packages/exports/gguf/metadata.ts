import type { Architecture } from "@lopper/core";
import {
  type GgufTensorEntry,
  isQuantised,
  type MetadataEntry,
  type TensorTypeName,
} from "@lopper/formats";
import {
  epsilonKey,
  type GgufArchitecture,
  mayHaveWindows,
  type Model,
  PATTERN_KEY,
  slidesBy,
  WINDOW_KEY,
} from "@lopper/models";
import { layerNumbers } from "./architecture.ts";
import { count, real, text } from "./entries.ts";
import type { GgufLayer } from "./layers.ts";
import { longestText, ropeEntries } from "./rope.ts";

/**
 * What a file is called by the type of most of its matrices, as llama.cpp guesses it where a file
 * does not say (llama.h, `enum llama_ftype`; llama-model-loader.cpp).
 */
const FILE_TYPES: Readonly<Record<TensorTypeName, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K: 12,
  Q4_K: 15,
  Q5_K: 17,
  Q6_K: 18,
  IQ4_NL: 25,
  BF16: 32,
  MXFP4: 38,
};
/** The version in which today's blocks are laid out (ggml.h, GGML_QNT_VERSION). */
const QUANTIZATION_VERSION = 2;

/** What of a file its metadata is about. */
export interface FileContents {
  readonly layers: readonly GgufLayer[];
  readonly tensors: readonly GgufTensorEntry[];
  /** What matrices are stored as that are not copied. */
  readonly type: TensorTypeName;
}

/**
 * What llama.cpp needs to know of a model besides its tokenizer (specification: ggml/docs/gguf.md,
 * "Standardized key-value pairs").
 */
export function modelEntries(
  { architecture }: Model,
  title: string,
  arch: GgufArchitecture,
  { layers, tensors, type }: FileContents,
): readonly MetadataEntry[] {
  const { queryHeads, kvHeads, widths } = layerNumbers(layers, isQuantised(type));
  const perLayer = (key: string, values: readonly number[]): MetadataEntry =>
    arch.byLayer ? { key, type: "array", elementType: "int32", values } : count(key, values[0]);
  const own = (name: string) => `${arch.name}.${name}`;
  return [
    text("general.architecture", arch.name),
    text("general.type", "model"),
    text("general.name", title),
    count("general.file_type", FILE_TYPES[mostlyOf(tensors)]),
    ...(tensors.some(({ type }) => isQuantised(type))
      ? [count("general.quantization_version", QUANTIZATION_VERSION)]
      : []),
    count(own("block_count"), layers.length),
    count(own("context_length"), longestText(arch, architecture)),
    count(own("embedding_length"), architecture.hiddenSize),
    perLayer(own("feed_forward_length"), widths),
    perLayer(own("attention.head_count"), queryHeads),
    perLayer(own("attention.head_count_kv"), kvHeads),
    count(own("attention.key_length"), architecture.headDim),
    count(own("attention.value_length"), architecture.headDim),
    real(own(epsilonKey(architecture.norm)), architecture.norm.eps),
    ...windowEntries(arch, layers),
    ...ropeEntries(arch, architecture),
    ...settingEntries(arch, architecture),
    count(own("vocab_size"), architecture.vocabSize),
  ];
}

/** The type of most matrices; of two as frequent, that which comes first. */
function mostlyOf(tensors: readonly GgufTensorEntry[]): TensorTypeName {
  const matrices = tensors.filter(({ shape }) => shape.length > 1);
  const groups = [...Map.groupBy(matrices, ({ type }) => type)];
  const [type] = groups.reduce((most, group) => group[1].length > most[1].length ? group : most);
  return type;
}

/** Which layers have a window, in a list where the architecture would take it for others. */
function windowEntries(
  { name, windows }: GgufArchitecture,
  layers: readonly GgufLayer[],
): readonly MetadataEntry[] {
  const found = layers.map(({ attention }) =>
    attention === null || attention === "zero" ? null : attention.attention?.window ?? null
  );
  const tokens = found.find((window) => window !== null);
  if (!windows) return [];
  const unsaid = windows.absent === undefined || !mayHaveWindows(windows, layers.length);
  if (tokens === undefined && unsaid) return [];
  const slides = found.map((window) => window !== null);
  const usual = slidesBy(windows.period, layers.length);
  return [
    // Of layers without one the length is nothing that counts.
    count(`${name}.${WINDOW_KEY}`, tokens ?? windows.absent!),
    ...(windows.period === "all" || slides.every((does, layer) => does === usual[layer]) ? [] : [
      {
        key: `${name}.${PATTERN_KEY}`,
        type: "array",
        elementType: "bool",
        values: slides,
      } as const,
    ]),
  ];
}

function settingEntries(
  { name, settings = [] }: GgufArchitecture,
  architecture: Architecture,
): readonly MetadataEntry[] {
  return settings.flatMap(({ key, of, count: whole }): readonly MetadataEntry[] => {
    const value = of(architecture);
    if (value === undefined) return [];
    return typeof value === "boolean"
      ? [{ key: `${name}.${key}`, type: "bool", value }]
      : [whole ? count(`${name}.${key}`, value) : real(`${name}.${key}`, value)];
  });
}
