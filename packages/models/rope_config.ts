import { type Rope, type RopeScaling, shown, UnsupportedModelError } from "@lopper/core";
import { z } from "zod";

const number = z.number().positive().nullish();

/** Rotary settings as config.json has them. */
export const ropeSchema = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: number,
  factor: number,
  low_freq_factor: number,
  high_freq_factor: number,
  original_max_position_embeddings: z.int().positive().nullish(),
  partial_rotary_factor: z.number().nullish(),
});
type RopeJson = z.infer<typeof ropeSchema>;

/**
 * Where a config.json has them: transformers 5 writes `rope_parameters`, earlier ones the other
 * two.
 */
export interface RopeKeys {
  readonly rope_parameters?: RopeJson | null;
  readonly rope_scaling?: RopeJson | null;
  readonly rope_theta?: number | null;
  readonly partial_rotary_factor?: number | null;
}

/** What absent keys mean. */
export interface RopeDefaults {
  readonly ropeTheta: number;
  /**
   * Longest sequence of the model, which is that before it was scaled where nothing else is said.
   */
  readonly maxPositions: number;
}

/**
 * The rotary embedding of a config.
 * @param file where it came from, for messages.
 * @throws {UnsupportedModelError} for one that Lopper does not compute, or two that differ.
 */
export function ropeFromConfig(config: RopeKeys, defaults: RopeDefaults, file: string): Rope {
  const places = (["rope_scaling", "rope_parameters"] as const).flatMap((key) => {
    const json = config[key];
    // An empty one says nothing, as transformers reads it.
    return json && Object.keys(json).length > 0 ? [{ key, json }] : [];
  });
  const partial = [config.partial_rotary_factor, ...places.map((p) => p.json.partial_rotary_factor)]
    .find((factor) => (factor ?? 1) !== 1);
  if (partial !== undefined) {
    throw new UnsupportedModelError(
      `${file}: partial_rotary_factor is ${partial}; Lopper needs 1`,
    );
  }
  const theta = config.rope_theta ?? defaults.ropeTheta;
  const [first = { theta, scaling: null }, ...others] = places.map(({ key, json }) =>
    oneRope(json, { ...defaults, ropeTheta: theta }, `${file}: ${key}`)
  );
  // transformers 5 takes `rope_scaling` then, and others `rope_parameters`.
  if (others.some((other) => !sameRope(other, first))) {
    throw new UnsupportedModelError(
      `${file}: rope_scaling and rope_parameters differ, and programs differ in which of them they read; Lopper needs one`,
    );
  }
  return first;
}

function oneRope(json: RopeJson, defaults: RopeDefaults, place: string): Rope {
  const nested = Object.entries(json).find(([, value]) => isObject(value));
  if (nested) {
    throw new UnsupportedModelError(
      `${place} has settings of their own for ${shown(nested[0])}; Lopper needs one for all layers`,
    );
  }
  const type = json.rope_type ?? json.type ?? "default";
  return {
    theta: json.rope_theta ?? defaults.ropeTheta,
    scaling: scalingOf(type, json, defaults, place),
  };
}

function scalingOf(
  type: string,
  json: RopeJson,
  { maxPositions }: RopeDefaults,
  place: string,
): RopeScaling | null {
  const need = (key: "factor" | "low_freq_factor" | "high_freq_factor"): number => {
    const value = json[key];
    if (typeof value === "number") return value;
    throw new UnsupportedModelError(`${place}: rope scaling ${shown(type)} lacks ${key}`);
  };
  switch (type) {
    case "default":
      return null;
    case "linear":
      return { type, factor: need("factor") };
    case "llama3":
      return {
        type,
        factor: need("factor"),
        lowFrequencyFactor: need("low_freq_factor"),
        highFrequencyFactor: need("high_freq_factor"),
        originalMaxPositions: json.original_max_position_embeddings ?? maxPositions,
      };
    default:
      throw new UnsupportedModelError(
        `${place}: rope scaling is ${shown(type)}; Lopper computes default, linear and llama3`,
      );
  }
}

function sameRope(a: Rope, b: Rope): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Rotary settings under the keys that transformers 4 has, where no scaling is null. Later versions
 * read them, too; mlx-lm (0.32) reads no others, and would take a base of 10000 without a word.
 */
export function earlierRopeKeys({ theta, scaling }: Rope) {
  if (!scaling) return { rope_theta: theta, rope_scaling: null };
  const { type, factor } = scaling;
  return {
    rope_theta: theta,
    rope_scaling: {
      rope_type: type,
      factor,
      ...(scaling.type === "llama3" && {
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      }),
    },
  };
}
