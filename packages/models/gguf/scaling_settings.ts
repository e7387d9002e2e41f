import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import {
  type ByteSource,
  finiteFloat32,
  type GgufHeader,
  type GgufMetadata,
} from "@lopper/formats";
import { LLAMA3, llama3Divisor, llama3Parameters } from "../llama3_rope.ts";
import type { GgufArchitecture } from "./architecture.ts";
import { shortest } from "./shortest.ts";
import { LONG_FACTORS, ROPE_FACTORS, SHORT_FACTORS } from "./tensor_names.ts";

/** Keys of rotary scaling, behind the name of the architecture. */
export const SCALING = {
  type: "rope.scaling.type",
  factor: "rope.scaling.factor",
  original: "rope.scaling.original_context_length",
  attention: "rope.scaling.attn_factor",
  betaFast: "rope.scaling.yarn_beta_fast",
  betaSlow: "rope.scaling.yarn_beta_slow",
  logMultiplier: "rope.scaling.yarn_log_multiplier",
  yarnAttention: "rope.scaling.yarn_attn_factor",
} as const;
export const TEMPERATURE_KEY = "attention.temperature_scale";

/** Writers compute the factors in float32 or float64. */
const FACTOR_TOLERANCE = 1e-5;

/** What of a file says how its rotary frequencies are scaled. */
export interface ScaledFile {
  readonly source: ByteSource;
  readonly header: GgufHeader;
  readonly arch: GgufArchitecture;
  readonly theta: number;
  /** Channels of a head that are rotated. */
  readonly rotated: number;
}

/**
 * Rotary settings of a config.json: the base, and how frequencies are scaled.
 * @throws {CheckpointFormatError} for factors of another number or type than there are pairs.
 * @throws {UnsupportedModelError} for scalings that Lopper does not compute, or two beside each
 *   other.
 */
export async function scaledRope(file: ScaledFile): Promise<Record<string, unknown>> {
  const { source, header: { metadata, tensors }, arch, theta, rotated } = file;
  const key = (name: string) => `${arch.name}.${name}`;
  const type = await metadata.text(key(SCALING.type)) ?? "none";
  const divisors = await factors(file, ROPE_FACTORS);
  const divided = divisors && llama3Factor(source, divisors, theta, rotated);
  const isLong = tensors.has(LONG_FACTORS) || type === "longrope";
  if (divided !== null && (type !== "none" || isLong)) {
    throw new UnsupportedModelError(
      `${metadata.file}: ${key(SCALING.type)} is ${
        shown(type)
      } beside ${ROPE_FACTORS}; Lopper computes one of the two`,
    );
  }
  if (divided !== null) return llama3Parameters(theta, divided);
  if (isLong) return await longRope(file, key);
  const factor = metadata.number(key(SCALING.factor)) ??
    metadata.number(key("rope.scale_linear")) ?? 1;
  if (type === "yarn") return yarn(metadata, key, { theta, factor, arch });
  const linear = type === "linear" || (type === "none" && metadata.get(key("rope.scale_linear")));
  return linear && factor !== 1
    ? { rope_type: "linear", rope_theta: theta, factor: shortest(factor) }
    : { rope_type: "default", rope_theta: theta };
}

/** Texts of either length have divisors of their own, in tensors. */
async function longRope(file: ScaledFile, key: (name: string) => string) {
  const { header: { metadata }, source, theta } = file;
  const [long, short] = [await factors(file, LONG_FACTORS), await factors(file, SHORT_FACTORS)];
  if (!long || !short) {
    throw new CheckpointFormatError("the tensor is missing, and LongRoPE needs it", {
      file: source.name,
      tensor: long ? SHORT_FACTORS : LONG_FACTORS,
    });
  }
  const original = metadata.count(key(SCALING.original)) ?? metadata.count(key("context_length"));
  return {
    rope_type: "longrope",
    rope_theta: theta,
    short_factor: Array.from(short, shortest),
    long_factor: Array.from(long, shortest),
    original_max_position_embeddings: original,
    attention_factor: shortest(metadata.number(key(SCALING.attention)) ?? 1),
  };
}

/** What llama.cpp multiplies cosines and sines with where YaRN stretches by a factor. */
export function yarnMagnitude(factor: number, share = 1): number {
  return 1 + 0.1 * share * Math.log(factor);
}

function yarn(
  metadata: GgufMetadata,
  key: (name: string) => string,
  { theta, factor, arch: { rope = {} } }: {
    readonly theta: number;
    readonly factor: number;
    readonly arch: GgufArchitecture;
  },
) {
  const number = (name: string) => {
    const value = metadata.number(key(name));
    return value === undefined ? undefined : shortest(value);
  };
  const share = number(SCALING.logMultiplier);
  // Some files have what config.json says, and llama.cpp another key for what it makes of that.
  const given = number(SCALING.yarnAttention);
  const more = number(SCALING.attention) ?? 1;
  const attention = given ??
    (more === 1
      ? undefined
      : shortest(more * yarnMagnitude(factor) / yarnMagnitude(factor, share ?? 0)));
  const beta = number(TEMPERATURE_KEY);
  return {
    rope_type: "yarn",
    rope_theta: theta,
    factor: shortest(factor),
    original_max_position_embeddings: metadata.count(key(SCALING.original)) ??
      metadata.count(key("context_length")),
    beta_fast: number(SCALING.betaFast) ?? 32,
    beta_slow: number(SCALING.betaSlow) ?? 1,
    ...(rope.truncates === false && { truncate: false }),
    ...(attention !== undefined && { attention_factor: attention }),
    ...(share !== undefined && { mscale: 1, mscale_all_dim: share }),
    ...(rope.grows && { llama_4_scaling_beta: beta ?? 0 }),
  };
}

/** A tensor of what each frequency is divided by; null where the file has none. */
async function factors(
  { source, header: { tensors }, rotated }: ScaledFile,
  name: string,
): Promise<Float32Array | null> {
  const tensor = tensors.get(name);
  if (!tensor) return null;
  if (tensor.type.name !== "F32" || tensor.shape.join() !== String(rotated / 2)) {
    throw new CheckpointFormatError(
      `it is ${tensor.type.name} [${tensor.shape.join(", ")}] and needs to be F32 [${rotated / 2}]`,
      { file: source.name, tensor: name, offset: tensor.offset },
    );
  }
  const bytes = await source.read(tensor.offset, tensor.byteLength);
  return finiteFloat32({ ...tensor, dtype: "F32", file: source.name }, bytes);
}

/**
 * The factor of Llama 3's scaling, of which the file keeps only what each frequency is divided by;
 * null without scaling.
 * @throws {UnsupportedModelError} when the divisors are not those of Llama 3.1 to 3.3.
 */
function llama3Factor(
  { name }: ByteSource,
  divisors: Float32Array,
  theta: number,
  rotated: number,
): number | null {
  const factor = divisors.reduce((most, d) => Math.max(most, d), 1);
  if (divisors.every((d) => d === 1)) return null;
  const { low, high, positions } = LLAMA3;
  const matches = divisors.every((divisor, i) =>
    Math.abs(divisor / llama3Divisor(theta, rotated, i, factor) - 1) <= FACTOR_TOLERANCE
  );
  if (matches) return shortest(factor);
  throw new UnsupportedModelError(
    `${name}: ${ROPE_FACTORS} holds frequency factors that are not those of Llama 3.1 (low ${low}, high ${high}, ` +
      `${positions} positions), the only ones that Lopper computes`,
  );
}
