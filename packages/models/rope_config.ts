import { type Rope, type RopeScaling, shown, UnsupportedModelError } from "@lopper/core";
import { checkJson } from "@lopper/formats";
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
  /** Share of the channels of a head that is rotated. */
  readonly rotated: number;
  /** Channels of a head. */
  readonly headDim: number;
}

/** The rotary embedding of layers of a type, "full_attention" or another. */
export type Ropes = (layerType: string) => Rope;

/**
 * The rotary embeddings of a config.
 * @param file where it came from, for messages.
 * @throws {UnsupportedModelError} for one that Lopper does not compute, or two that differ.
 */
export function ropesFromConfig(config: RopeKeys, defaults: RopeDefaults, file: string): Ropes {
  const places = (["rope_scaling", "rope_parameters"] as const).flatMap((key) => {
    const json = config[key];
    // An empty one says nothing, as transformers reads it.
    return json && Object.keys(json).length > 0 ? [{ key, json }] : [];
  });
  const usual: RopeDefaults & { readonly fraction: number } = {
    ...defaults,
    ropeTheta: config.rope_theta ?? defaults.ropeTheta,
    fraction: config.partial_rotary_factor ?? defaults.rotated,
  };
  const [first, ...others] = places.map(({ key, json }) => ropesOf(json, usual, `${file}: ${key}`));
  const found = first ?? (() => oneRope({}, usual, file));
  // transformers 5 takes `rope_scaling` then, and others `rope_parameters`.
  if (others.some((other) => ROPE_TYPES.some((type) => !sameRope(other(type), found(type))))) {
    throw new UnsupportedModelError(
      `${file}: rope_scaling and rope_parameters differ, and programs differ in which of them they read; Lopper needs one`,
    );
  }
  return found;
}

/** Types of layers that may have rotary settings of their own. */
const ROPE_TYPES = ["full_attention", "sliding_attention"] as const;

type Usual = RopeDefaults & { readonly fraction: number };

/** One for all layers, or one for each of their types. */
function ropesOf(json: RopeJson, usual: Usual, place: string): Ropes {
  const nested = Object.keys(json).filter((key) => isObject(json[key]));
  if (nested.length === 0) {
    const rope = oneRope(json, usual, place);
    return () => rope;
  }
  const strange = nested.find((key) => !(ROPE_TYPES as readonly string[]).includes(key));
  if (strange !== undefined) {
    throw new UnsupportedModelError(
      `${place} has settings of their own for ${shown(strange)}; Lopper reads those for ${
        ROPE_TYPES.join(" and ")
      }`,
    );
  }
  const byType = new Map(nested.map((type) => [
    type,
    oneRope(checkJson(json[type], ropeSchema, `${place}.${type}`), usual, `${place}.${type}`),
  ]));
  return (type) => {
    const rope = byType.get(type);
    if (rope) return rope;
    throw new UnsupportedModelError(`${place} has no settings for layers of ${type}`);
  };
}

function oneRope(json: RopeJson, usual: Usual, place: string): Rope {
  const type = json.rope_type ?? json.type ?? "default";
  const fraction = json.partial_rotary_factor ?? usual.fraction;
  const channels = Math.floor(usual.headDim * fraction);
  if (channels !== usual.headDim && (channels < 2 || channels % 2 || channels > usual.headDim)) {
    throw new UnsupportedModelError(
      `${place}: partial_rotary_factor is ${fraction}, which makes ${channels} of ${usual.headDim} channels of a head; Lopper ` +
        "needs an even number of them",
    );
  }
  return {
    theta: json.rope_theta ?? usual.ropeTheta,
    scaling: scalingOf(type, json, usual, place),
    ...(channels !== usual.headDim && { channels }),
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
