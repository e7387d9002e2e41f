import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import {
  type ByteSource,
  finiteFloat32,
  type GgufHeader,
  type GgufMetadata,
} from "@lopper/formats";
import { LLAMA3, llama3Divisor, llama3Parameters } from "../llama3_rope.ts";
import type { Family } from "../families/family.ts";
import { FULL, SLIDING } from "../window_config.ts";
import type { GgufArchitecture } from "./architecture.ts";
import { shortest } from "./shortest.ts";
import { ROPE_FACTORS } from "./tensor_names.ts";
import type { FoundWindows } from "./window_settings.ts";

/** The rotary base of layers with a window. */
export const SLIDING_THETA = "rope.freq_base_swa";

/** Writers compute the factors in float32 or float64. */
const FACTOR_TOLERANCE = 1e-5;

interface RopeFacts {
  readonly arch: GgufArchitecture;
  readonly family: Family;
  readonly headDim: number;
  readonly windows: FoundWindows;
}

/** The rotary embedding of a config.json. @throws as `configFromGguf` does. */
export async function ropeParameters(
  source: ByteSource,
  header: GgufHeader,
  { arch, family, headDim, windows }: RopeFacts,
): Promise<Record<string, unknown>> {
  const { metadata } = header;
  const key = (name: string) => `${arch.name}.${name}`;
  const full: Record<string, unknown> = {
    ...await fullRope(source, header, key, headDim),
    ...rotatedShare(metadata, key("rope.dimension_count"), headDim, arch),
  };
  const own = metadata.number(key(SLIDING_THETA)) ?? arch.windows?.theta;
  const apart = own !== undefined || family.windowRope !== undefined;
  if (!apart || !windows.slides.includes(true)) return full;
  const rope_theta = own === undefined ? full.rope_theta : shortest(own);
  // Scaling is for texts longer than a window.
  return { [FULL]: full, [SLIDING]: { rope_type: "default", rope_theta } };
}

async function fullRope(
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
 * The factor of Llama 3's scaling, of which the file keeps only what each frequency is divided by;
 * null without scaling.
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

/**
 * Channels of a head.
 * @param usual where the file does not say it.
 * @throws {UnsupportedModelError} when values have another number of them than keys.
 */
export function headChannels(
  metadata: GgufMetadata,
  key: (name: string) => string,
  usual: number,
): number {
  const headDim = metadata.count(key("attention.key_length")) ?? usual;
  const found = metadata.count(key("attention.value_length")) ?? headDim;
  if (found === headDim) return headDim;
  throw otherSize(metadata, key("attention.value_length"), found, headDim);
}

function otherSize({ file }: GgufMetadata, key: string, found: number, headDim: number) {
  return new UnsupportedModelError(
    `${file}: ${key} is ${found}; Lopper needs the head size, ${headDim}`,
  );
}

/**
 * The share of a head that is rotated, where that is not all of it.
 * @throws {UnsupportedModelError} where the architecture rotates whole heads.
 */
function rotatedShare(
  metadata: GgufMetadata,
  key: string,
  headDim: number,
  { partialRotation }: GgufArchitecture,
): { readonly partial_rotary_factor?: number } {
  const channels = metadata.count(key) ?? headDim;
  if (channels === headDim) return {};
  if (!partialRotation || channels > headDim) throw otherSize(metadata, key, channels, headDim);
  const share = channels / headDim;
  // Readers multiply and round down.
  const below = Math.floor(headDim * share) < channels;
  return { partial_rotary_factor: below ? share * (1 + Number.EPSILON) : share };
}
