import type { Architecture } from "@lopper/core";
import type { MetadataEntry, TensorTypeName } from "@lopper/formats";
import {
  epsilonKey,
  type GgufArchitecture,
  type Model,
  PATTERN_KEY,
  slidesBy,
  SLIDING_THETA,
  WINDOW_KEY,
} from "@lopper/models";
import { layerNumbers } from "./architecture.ts";
import type { GgufLayer } from "./layers.ts";

/** What a file is called by the type of most of its matrices (llama.h, `enum llama_ftype`). */
const FILE_TYPES: Readonly<Partial<Record<TensorTypeName, number>>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 7,
};
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
  const quantised = type === "Q8_0" || type === "Q4_0";
  const { queryHeads, kvHeads, widths } = layerNumbers(layers, quantised);
  const perLayer = (key: string, values: readonly number[]): MetadataEntry =>
    arch.byLayer ? { key, type: "array", elementType: "int32", values } : count(key, values[0]);
  const own = (name: string) => `${arch.name}.${name}`;
  return [
    text("general.architecture", arch.name),
    text("general.type", "model"),
    text("general.name", title),
    count("general.file_type", FILE_TYPES[type]!),
    ...(quantised ? [count("general.quantization_version", QUANTIZATION_VERSION)] : []),
    count(own("block_count"), layers.length),
    count(own("context_length"), architecture.maxPositions),
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

const count = (key: string, value: number): MetadataEntry => ({ key, type: "uint32", value });
const real = (key: string, value: number): MetadataEntry => ({ key, type: "float32", value });
const text = (key: string, value: string): MetadataEntry => ({ key, type: "string", value });

/** Which layers have a window, in a list where the architecture would take it for others. */
function windowEntries(
  { name, windows }: GgufArchitecture,
  layers: readonly GgufLayer[],
): readonly MetadataEntry[] {
  const found = layers.map(({ attention }) =>
    attention === null || attention === "zero" ? null : attention.attention?.window ?? null
  );
  const tokens = found.find((window) => window !== null);
  if (!windows || (tokens === undefined && windows.absent === undefined)) return [];
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

/** The rotary embedding of layers without a window, and of those with one where it differs. */
function ropeEntries(
  { name, windows }: GgufArchitecture,
  { headDim, blocks }: Architecture,
): readonly MetadataEntry[] {
  const ropeOf = (slides: boolean) =>
    blocks.find(({ attention }) => attention?.rope && (attention.window !== null) === slides)
      ?.attention?.rope ?? null;
  const [far, near] = [ropeOf(false) ?? ropeOf(true), ropeOf(true)];
  if (!far) return [];
  const { scaling, theta, channels = headDim } = far;
  const apart = near && windows && near.theta !== (windows.theta ?? theta);
  return [
    count(`${name}.rope.dimension_count`, channels),
    real(`${name}.rope.freq_base`, theta),
    ...(apart ? [real(`${name}.${SLIDING_THETA}`, near.theta)] : []),
    ...(scaling?.type === "linear"
      ? [
        text(`${name}.rope.scaling.type`, "linear"),
        real(`${name}.rope.scaling.factor`, scaling.factor),
      ]
      : []),
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
