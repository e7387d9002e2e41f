import {
  type LongRopeScaling,
  type Rope,
  type RopeScaling,
  shown,
  UnsupportedModelError,
  type YarnScaling,
} from "@lopper/core";
import type { RopeJson } from "./rope_schema.ts";

/** What a scaling is read with beside its own keys. */
interface Scaled {
  /** Longest sequence of the model. */
  readonly maxPositions: number;
  /** Before it was scaled, where the config says so beside the rotary settings. */
  readonly originalMaxPositions: number | null;
  /** Rotated pairs of channels. */
  readonly pairs: number;
}

/** Phi-3 was published with the first name. */
const EARLIER_NAMES: Readonly<Record<string, string>> = { su: "longrope" };

/**
 * A scaling with what its absent keys mean (transformers 5.24, `modeling_rope_utils.py`).
 * @param type as config.json names it.
 * @param place where it stands, for messages.
 * @throws {UnsupportedModelError} for one that Lopper does not compute, or that lacks a key.
 */
export function scalingFromConfig(
  type: string,
  json: RopeJson,
  scaled: Scaled,
  place: string,
): RopeScaling | null {
  const refuse = (what: string): never => {
    throw new UnsupportedModelError(`${place}: rope scaling ${shown(type)} ${what}`);
  };
  const need = (key: "factor" | "low_freq_factor" | "high_freq_factor") =>
    json[key] ?? refuse(`lacks ${key}`);
  const originalMaxPositions = scaled.originalMaxPositions ??
    json.original_max_position_embeddings ?? scaled.maxPositions;
  // What a model was stretched by where nothing else is said.
  const stretched = scaled.maxPositions / originalMaxPositions;
  switch (EARLIER_NAMES[type] ?? type) {
    case "default":
      return null;
    case "linear":
      return { type: "linear", factor: need("factor") };
    case "llama3":
      return {
        type: "llama3",
        factor: need("factor"),
        lowFrequencyFactor: need("low_freq_factor"),
        highFrequencyFactor: need("high_freq_factor"),
        originalMaxPositions,
      };
    case "yarn":
      return yarn(json, json.factor ?? (stretched > 1 ? stretched : need("factor")), {
        originalMaxPositions,
      });
    case "longrope":
      return longRope(
        json,
        json.factor ?? stretched,
        { originalMaxPositions, pairs: scaled.pairs },
        refuse,
      );
    default:
      throw new UnsupportedModelError(
        `${place}: rope scaling is ${
          shown(type)
        }; Lopper computes default, linear, llama3, yarn and longrope`,
      );
  }
}

/** What scores are stretched by (arXiv 2309.00071, equation 22; DeepSeek's `mscale` beside it). */
function magnitude(factor: number, share = 1): number {
  return factor <= 1 ? 1 : 0.1 * share * Math.log(factor) + 1;
}

function yarn(
  json: RopeJson,
  factor: number,
  { originalMaxPositions }: Pick<YarnScaling, "originalMaxPositions">,
): YarnScaling {
  const { mscale, mscale_all_dim: everywhere } = json;
  const usual = mscale && everywhere
    ? magnitude(factor, mscale) / magnitude(factor, everywhere)
    : magnitude(factor);
  return {
    type: "yarn",
    factor,
    // A zero says what absence says.
    betaFast: json.beta_fast || 32,
    betaSlow: json.beta_slow || 1,
    truncate: json.truncate ?? true,
    originalMaxPositions,
    attentionFactor: json.attention_factor ?? usual,
  };
}

function longRope(
  json: RopeJson,
  factor: number,
  { originalMaxPositions, pairs }:
    & Pick<LongRopeScaling, "originalMaxPositions">
    & Pick<Scaled, "pairs">,
  refuse: (what: string) => never,
): LongRopeScaling {
  const own = ["short_mscale", "long_mscale"].find((key) => json[key] !== undefined);
  if (own !== undefined) refuse(`has ${own}; Lopper needs one factor for texts of any length`);
  const divisors = (key: "short_factor" | "long_factor") => {
    const values = json[key] ?? refuse(`lacks ${key}`);
    return values.length === pairs
      ? values
      : refuse(`has a ${key} of ${values.length} numbers; Lopper needs ${pairs}, one a pair`);
  };
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions));
  return {
    type: "longrope",
    shortFactors: divisors("short_factor"),
    longFactors: divisors("long_factor"),
    originalMaxPositions,
    attentionFactor: json.attention_factor ?? usual,
  };
}

/**
 * Rotary settings under the keys that transformers 4 has, where no scaling is null. Later versions
 * read them, too; mlx-lm (0.32) reads no others, and would take a base of 10000 without a word.
 */
export function earlierRopeKeys({ theta, scaling }: Rope) {
  return {
    rope_theta: theta,
    rope_scaling: scaling && { rope_type: scaling.type, ...scalingKeys(scaling) },
  };
}

function scalingKeys(scaling: RopeScaling) {
  switch (scaling.type) {
    case "linear":
      return { factor: scaling.factor };
    case "llama3":
      return {
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      };
    case "yarn":
      return {
        factor: scaling.factor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        truncate: scaling.truncate,
        original_max_position_embeddings: scaling.originalMaxPositions,
        attention_factor: scaling.attentionFactor,
      };
    case "longrope":
      return {
        short_factor: scaling.shortFactors,
        long_factor: scaling.longFactors,
        original_max_position_embeddings: scaling.originalMaxPositions,
        attention_factor: scaling.attentionFactor,
      };
  }
}
