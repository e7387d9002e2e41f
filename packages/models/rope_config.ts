import { type Rope, shown, UnsupportedModelError } from "@lopper/core";
import { checkJson } from "@lopper/formats";
import { type RopeJson, ropeSchema } from "./rope_schema.ts";
import { scalingFromConfig } from "./rope_scaling.ts";

/**
 * Where a config.json has them: transformers 5 writes `rope_parameters`, earlier ones the other
 * two.
 */
export interface RopeKeys {
  readonly rope_parameters?: RopeJson | null;
  readonly rope_scaling?: RopeJson | null;
  readonly rope_theta?: number | null;
  readonly partial_rotary_factor?: number | null;
  /** Before the model was scaled (Phi-3); what the other places say of it does not count then. */
  readonly original_max_position_embeddings?: number | null;
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
  const usual: Usual = {
    ...defaults,
    ropeTheta: config.rope_theta ?? defaults.ropeTheta,
    fraction: config.partial_rotary_factor ?? defaults.rotated,
    originalMaxPositions: config.original_max_position_embeddings ?? null,
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

interface Usual extends RopeDefaults {
  /** Of the channels of a head, those that are rotated. */
  readonly fraction: number;
  readonly originalMaxPositions: number | null;
}

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
    scaling: scalingFromConfig(type, json, { ...usual, pairs: channels / 2 }, place),
    ...(channels !== usual.headDim && { channels }),
  };
}

function sameRope(a: Rope, b: Rope): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
