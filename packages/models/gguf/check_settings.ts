import { shown, UnsupportedModelError } from "@lopper/core";
import type { GgufHeader, GgufMetadata } from "@lopper/formats";
import type { GgufArchitecture } from "./architecture.ts";
import { SLIDING_THETA } from "./rope_settings.ts";
import { SCALING, TEMPERATURE_KEY } from "./scaling_settings.ts";
import { LONG_FACTORS } from "./tensor_names.ts";
import { PATTERN_KEY, WINDOW_KEY } from "./window_settings.ts";

/** Keys of an architecture that are read, or that say nothing about what is computed. */
const KNOWN_KEYS = new Set([
  "attention.head_count",
  "attention.head_count_kv",
  "attention.key_length",
  "attention.layer_norm_epsilon",
  "attention.layer_norm_rms_epsilon",
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
/** Keys of rotary scaling, by what of it they belong to. */
const SCALING_KEYS: Readonly<Record<string, readonly string[]>> = {
  yarn: [
    ...[SCALING.attention, SCALING.betaFast, SCALING.betaSlow],
    ...[SCALING.logMultiplier, SCALING.yarnAttention],
  ],
  longrope: [SCALING.attention],
};
/** What leaves the computation as it is. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  "attention.causal": true,
  "rope.scaling.attn_factor": 1,
  "rope.scaling.yarn_ext_factor": 1,
};

/** The version in which today's blocks are laid out, by every writer since 2023. */
const QUANTIZATION_VERSION = 2;

/** @throws {UnsupportedModelError} when blocks of quantised values are laid out in another way. */
export function checkBlocks({ metadata, tensors }: GgufHeader) {
  const version = metadata.count("general.quantization_version") ?? QUANTIZATION_VERSION;
  if (
    version !== QUANTIZATION_VERSION && [...tensors.values()].some(({ type }) => type.dequantize)
  ) {
    throw new UnsupportedModelError(
      `${metadata.file}: general.quantization_version is ${version}; Lopper reads ${QUANTIZATION_VERSION}`,
    );
  }
}

/**
 * @throws {UnsupportedModelError} for a way of scaling rotary angles that Lopper does not compute.
 */
export async function checkScaling(metadata: GgufMetadata, key: string) {
  const type = await metadata.text(key) ?? "none";
  const known = ["none", "linear", ...Object.keys(SCALING_KEYS)];
  if (known.includes(type)) return;
  throw new UnsupportedModelError(
    `${metadata.file}: ${key} is ${shown(type)}; Lopper computes ${known.join(", ")}`,
  );
}

/**
 * A key that Lopper does not know may change what the model computes: unless it says that there is
 * no such thing.
 */
export async function checkKeys(
  { metadata, tensors }: GgufHeader,
  { name: arch, settings = [], windows, rope }: GgufArchitecture,
) {
  const prefix = `${arch}.`;
  const scaling = tensors.has(LONG_FACTORS)
    ? "longrope"
    : await metadata.text(`${prefix}${SCALING.type}`) ?? "none";
  const known = new Set([
    ...KNOWN_KEYS,
    ...settings.map(({ key }) => key),
    ...SCALING_KEYS[scaling] ?? [],
    ...(rope?.grows && scaling === "yarn" ? [TEMPERATURE_KEY] : []),
    ...(windows ? [WINDOW_KEY] : []),
    ...(windows && windows.period !== "all" ? [PATTERN_KEY, SLIDING_THETA] : []),
  ]);
  for (const key of metadata.keys()) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : null;
    if (name === null || known.has(name)) continue;
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
