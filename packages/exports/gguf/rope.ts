import {
  type Architecture,
  firstRope,
  type QueryGrowth,
  type Rope,
  type RopeScaling,
} from "@lopper/core";
import type { GgufTensorEntry, MetadataEntry } from "@lopper/formats";
import {
  FACTOR_TENSORS,
  type GgufArchitecture,
  type Model,
  ropeFrequencies,
  SCALING,
  SLIDING_THETA,
  TEMPERATURE_KEY,
  yarnMagnitude,
} from "@lopper/models";
import { count, real, text } from "./entries.ts";

/** Factors are float32 in llama.cpp. */
const TOLERANCE = 1e-6;
/** Between how many turns YaRN blends where no key says so. */
const BETAS = { fast: 32, slow: 1 };

/** The rotary embedding of layers without a window, and of those with one where it differs. */
export function ropeEntries(
  { name, windows, rope: { betas, grows } = {} }: GgufArchitecture,
  architecture: Architecture,
): readonly MetadataEntry[] {
  const [far, near] = farAndNear(architecture);
  if (!far) return [];
  const { scaling, theta, channels = architecture.headDim } = far;
  const key = (of: string) => `${name}.${of}`;
  const apart = near && windows && near.theta !== (windows.theta ?? theta);
  const growth = grows ? growthOf(architecture) : undefined;
  return [
    count(key("rope.dimension_count"), channels),
    real(key("rope.freq_base"), theta),
    ...(apart ? [real(key(SLIDING_THETA), near.theta)] : []),
    ...scalingEntries(scaling, key, betas ?? false),
    ...(growth ? [real(key(TEMPERATURE_KEY), growth.rate)] : []),
  ];
}

/** Rotary embeddings of layers without a window, or of all alike, and of those with one. */
function farAndNear({ blocks }: Architecture): readonly [Rope | null, Rope | null] {
  const ropeOf = (slides: boolean) =>
    blocks.find(({ attention }) => attention?.rope && (attention.window !== null) === slides)
      ?.attention?.rope ?? null;
  const near = ropeOf(true);
  return [ropeOf(false) ?? near, near];
}

/** How queries grow with their positions; undefined where they do not. */
function growthOf({ blocks }: Architecture): QueryGrowth | undefined {
  return blocks.find(({ attention }) => attention?.queryGrowth)?.attention?.queryGrowth;
}

/** The longest text of which an architecture computes what a model does. */
export function longestText({ rope }: GgufArchitecture, architecture: Architecture): number {
  const growth = growthOf(architecture);
  const { maxPositions } = architecture;
  return growth && !rope?.grows ? Math.min(maxPositions, growth.length) : maxPositions;
}

function scalingEntries(
  scaling: RopeScaling | null,
  key: (of: string) => string,
  betas: boolean,
): readonly MetadataEntry[] {
  // Those of Llama 3 are a tensor.
  if (!scaling || scaling.type === "llama3") return [];
  const type = text(key(SCALING.type), scaling.type);
  if (scaling.type === "linear") return [type, real(key(SCALING.factor), scaling.factor)];
  const { originalMaxPositions, attentionFactor } = scaling;
  const usual = scaling.type === "yarn" ? yarnMagnitude(scaling.factor) : 1;
  const more = attentionFactor / usual;
  return [
    type,
    count(key(SCALING.original), originalMaxPositions),
    ...(Math.abs(more - 1) > TOLERANCE ? [real(key(SCALING.attention), more)] : []),
    ...(scaling.type === "yarn" ? [real(key(SCALING.factor), scaling.factor)] : []),
    ...(scaling.type === "yarn" && betas
      ? [
        real(key(SCALING.betaFast), scaling.betaFast),
        real(key(SCALING.betaSlow), scaling.betaSlow),
      ]
      : []),
  ];
}

/** Tensors of what frequencies are divided by; none where they are the plain ones, or keys say. */
export function factorTensors({ architecture }: Model): readonly GgufTensorEntry[] {
  const { headDim } = architecture;
  const [rope] = farAndNear(architecture);
  const [divisors, long, short] = FACTOR_TENSORS;
  if (rope?.scaling?.type === "llama3") {
    const scaled = ropeFrequencies(rope, headDim);
    const plain = ropeFrequencies({ ...rope, scaling: null }, headDim);
    return [vector(divisors, plain.map((f, i) => f / scaled[i]))];
  }
  if (rope?.scaling?.type !== "longrope") return [];
  const { longFactors, shortFactors } = rope.scaling;
  return [
    vector(long, Float32Array.from(longFactors)),
    vector(short, Float32Array.from(shortFactors)),
  ];
}

function vector(name: string, values: Float32Array): GgufTensorEntry {
  const data = () => Promise.resolve(new Uint8Array(values.buffer));
  return { name, type: "F32", shape: [values.length], data };
}

/** What no file of an architecture says of scaled frequencies, in words; null for nothing. */
export function scalingItCannotSay(
  { rope = {} }: GgufArchitecture,
  architecture: Architecture,
): string | null {
  const scaling = firstRope(architecture)?.scaling;
  switch (scaling?.type) {
    case "llama3":
      return rope.divisors
        ? null
        : `it is a ${architecture.family} with the rotary frequencies of Llama 3`;
    case "longrope":
      return rope.factors ? null : "its rotary frequencies are those of longrope";
    case "yarn": {
      const growth = growthOf(architecture);
      if (growth && rope.grows && growth.length !== scaling.originalMaxPositions) {
        return "its queries grow from another length on than its rotary frequencies were scaled from";
      }
      const { betaFast, betaSlow, truncate } = scaling;
      if (truncate !== (rope.truncates ?? true)) {
        return "the band in which YaRN blends its rotary frequencies ends elsewhere";
      }
      const usual = betaFast === BETAS.fast && betaSlow === BETAS.slow;
      return rope.betas || usual
        ? null
        : `YaRN blends its rotary frequencies between ${betaFast} and ${betaSlow} turns`;
    }
    default:
      return null;
  }
}
