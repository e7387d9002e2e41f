import { UnsupportedModelError } from "@lopper/core";
import type { ByteSource, GgufHeader, GgufMetadata } from "@lopper/formats";
import type { Family } from "../families/family.ts";
import { FULL, SLIDING } from "../window_config.ts";
import type { GgufArchitecture } from "./architecture.ts";
import { scaledRope } from "./scaling_settings.ts";
import { shortest } from "./shortest.ts";
import type { FoundWindows } from "./window_settings.ts";

/** The rotary base of layers with a window. */
export const SLIDING_THETA = "rope.freq_base_swa";

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
  const theta = shortest(metadata.number(key("rope.freq_base")) ?? 10_000);
  const channels = rotatedChannels(metadata, key("rope.dimension_count"), headDim, arch);
  const full: Record<string, unknown> = {
    ...await scaledRope({ source, header, arch, theta, rotated: channels }),
    ...rotatedShare(channels, headDim, family),
  };
  const own = metadata.number(key(SLIDING_THETA)) ?? arch.windows?.theta;
  const apart = own !== undefined || family.windowRope !== undefined ||
    (arch.windows?.unscaled && full.rope_type !== "default");
  if (!apart || !windows.slides.includes(true)) return full;
  const rope_theta = own === undefined ? full.rope_theta : shortest(own);
  // Scaling is for texts longer than a window.
  return { [FULL]: full, [SLIDING]: { rope_type: "default", rope_theta } };
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
 * Channels of a head that are rotated.
 * @throws {UnsupportedModelError} where the architecture rotates whole heads and the file others.
 */
function rotatedChannels(
  metadata: GgufMetadata,
  key: string,
  headDim: number,
  { partialRotation }: GgufArchitecture,
): number {
  const channels = metadata.count(key) ?? headDim;
  if (channels === headDim || (partialRotation && channels < headDim)) return channels;
  throw otherSize(metadata, key, channels, headDim);
}

/** The share of a head that is rotated, where that is not all of it. */
function rotatedShare(channels: number, headDim: number, { defaults }: Family) {
  // Where the family rotates a part by default, all is to be said, too.
  if (channels === headDim && defaults.rotated === 1) return {};
  const share = channels / headDim;
  // Readers multiply and round down.
  const below = Math.floor(headDim * share) < channels;
  return { partial_rotary_factor: below ? share * (1 + Number.EPSILON) : share };
}
