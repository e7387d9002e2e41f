import {
  type Architecture,
  type Attention,
  type Block,
  firstRope,
  haveWeight,
  headsOf,
  type Routing,
} from "@lopper/core";
import {
  FACTOR_KEY,
  type GgufArchitecture,
  type GgufFacts,
  LEADING_KEY,
  mayHaveWindows,
  RENORMALISED_KEY,
  TOP_GROUPS_KEY,
} from "@lopper/models";
import { scalingItCannotSay } from "./rope.ts";

/** Scales are float32 in llama.cpp. */
const TOLERANCE = 1e-6;

/**
 * What a model whose layers are alike computes and no file of an architecture says, in words; null
 * for nothing. llama.cpp would compute something else without a word.
 * @param blocks its own, layer by layer of the file.
 */
export function whatItCannotSay(
  arch: GgufArchitecture,
  architecture: Architecture,
  blocks: readonly Block[],
): string | null {
  const attended = blocks.flatMap(({ attention }) => attention ?? []);
  const shares = blocks.some((block) => {
    const heads = block.attention && headsOf(block);
    return heads && heads.kvHeads !== heads.queryHeads;
  });
  if (arch.ownKeys && shares) return "its query heads share KV heads";
  const unsaid = (arch.settings ?? []).find(({ absent, of }) =>
    absent !== undefined && of(architecture) === undefined
  );
  // llama.cpp would go by a value of its own.
  if (unsaid) return `it has no ${unsaid.config}`;
  const facts = factsOf(architecture, blocks, attended.length);
  return scalingItCannotSay(arch, architecture) ??
    shapeItCannotSay(arch, architecture, facts) ??
    headItCannotSay(arch, architecture, facts) ??
    denseItCannotSay(arch, blocks) ?? blockItCannotSay(arch, blocks) ??
    scoresItCannotSay(arch, attended, facts) ??
    windowsItCannotSay(arch, attended, facts);
}

/** What llama.cpp knows of a model before its architecture's settings. */
export function factsOf(
  { hiddenSize, headDim }: Architecture,
  blocks: readonly Block[],
  layers: number,
): GgufFacts {
  const first = blocks.find(({ attention }) => attention);
  return { layers, hiddenSize, headDim, queryHeads: first ? headsOf(first).queryHeads : 1 };
}

function shapeItCannotSay(
  { pairs, partialRotation, fullHeads, slopedLayers, ...rest }: GgufArchitecture,
  architecture: Architecture,
  { queryHeads, hiddenSize, headDim, layers }: GgufFacts,
): string | null {
  const isSloped = haveWeight(architecture.blocks, "slopes");
  if (isSloped && slopedLayers === undefined) return "its scores fall by distance";
  const only = isSloped ? slopedLayers : rest.layers;
  if (only !== undefined && layers !== only) return `it does not have ${only} layers`;
  const rope = firstRope(architecture);
  if (rope?.pairs === "neighbours" && pairs === "halves") {
    return "it rotates neighbouring channels of a head";
  }
  if (rope?.channels !== undefined && !partialRotation) return "it rotates a part of each head";
  return fullHeads === true && queryHeads * headDim !== hiddenSize
    ? "its heads do not fill the hidden size"
    : null;
}

function headItCannotSay(
  { settings = [], embeds, head }: GgufArchitecture,
  { scaling = {}, tiedEmbeddings }: Architecture,
  facts: GgufFacts,
): string | null {
  const says = (key: string) => settings.some((setting) => setting.key === key);
  if (head === "embedding" && !tiedEmbeddings) return "its LM head is not its embedding";
  if (scaling.positionOffset) return "its learned positions begin further on";
  if (scaling.logitCap !== undefined && !says("final_logit_softcapping")) {
    return "its logits have a cap";
  }
  if (differ(scaling.logits, 1) && !says("logit_scale")) return "its logits are multiplied";
  return differ(scaling.embedding, embeds?.(facts) ?? 1) && !says("embedding_scale")
    ? `its embedding is multiplied with ${scaling.embedding ?? 1}`
    : null;
}

function blockItCannotSay(
  { settings = [], activation = "silu", parallel, routing, gating, unbiased }: GgufArchitecture,
  blocks: readonly Block[],
): string | null {
  const says = (key: string) => settings.some((setting) => setting.key === key);
  const other = blocks.find((block) =>
    !block.attention && (block.activation ?? "silu") !== activation
  );
  if (unbiased && haveWeight(blocks, "o_bias")) return "its outputs of attention have biases";
  if (unbiased && haveWeight(blocks, "up_bias")) return "its MLPs have biases";
  if (other) return `its MLPs compute ${other.activation ?? "silu"}`;
  const routed = blocks.find(({ routing: found }) =>
    JSON.stringify(found && unsaid(found, says)) !==
      JSON.stringify(found && unsaid({ ...routing, topK: 0 } as Routing, says))
  );
  if (routed) return "its experts are weighted otherwise";
  const gated = blocks.find((block) =>
    !block.attention && JSON.stringify(block.gating) !== JSON.stringify(gating)
  );
  if (gated) return "gate and up of its experts go together otherwise";
  const second = blocks.filter(({ attention }) => !attention);
  if (!parallel && second.some((block) => block.parallel)) {
    return "its MLPs read what attention reads";
  }
  if (parallel === true && !second.every((block) => block.parallel)) {
    return "its MLPs read what attention puts out";
  }
  return blocks.some(({ multiplier }) => differ(multiplier, 1)) && !says("residual_scale")
    ? "what its blocks add is multiplied"
    : null;
}

/**
 * What of a routing no key says. llama.cpp has a least sum of its own, 2⁻¹⁴, which softmaxes over
 * all experts and sigmoids reach but for scores that say nothing.
 */
function unsaid(
  { softmaxOver, renormalised, factor = 1, topGroups }: Routing,
  says: (key: string) => boolean,
): readonly unknown[] {
  return [
    softmaxOver,
    says(RENORMALISED_KEY) || renormalised === true,
    says(FACTOR_KEY) || factor,
    says(TOP_GROUPS_KEY) || (topGroups ?? null),
  ];
}

/** Layers of a mixture's architecture that have MLPs, which come first where files say so. */
function denseItCannotSay(
  { settings = [], routing }: GgufArchitecture,
  blocks: readonly Block[],
): string | null {
  const mixed = blocks.flatMap((block) => block.attention ? [] : [block.routing !== undefined]);
  if (!routing || mixed.every((is) => is)) return null;
  if (!mixed.includes(true)) return "none of its layers has experts";
  if (!settings.some(({ key }) => key === LEADING_KEY)) {
    return "some of its layers have MLPs in place of experts";
  }
  return mixed.indexOf(true) > mixed.lastIndexOf(false)
    ? null
    : "layers with MLPs stand behind others with experts";
}

function scoresItCannotSay(
  { settings = [], scale, normAfterRotation }: GgufArchitecture,
  attended: readonly Attention[],
  facts: GgufFacts,
): string | null {
  const says = (key: string) => settings.some((setting) => setting.key === key);
  const implied = scale?.(facts) ?? 1 / Math.sqrt(facts.headDim);
  const other = attended.find((attention) => differ(attention.scale, implied));
  if (other && !says("attention.scale")) return `its scores are multiplied with ${other.scale}`;
  if (attended.some(({ clip }) => clip !== undefined)) return "its queries and keys are clipped";
  if (attended.some(({ normByHead }) => normByHead)) {
    return "each head has norms of queries and keys of its own";
  }
  if (attended.some((attention) => attention.normAfterRotation !== normAfterRotation)) {
    return "its norms of queries and keys are on the other side of the rotation";
  }
  const caps = new Set(attended.map(({ softCap }) => softCap));
  return [...caps].some((cap) => cap !== null) && (!says("attn_logit_softcapping") || caps.size > 1)
    ? "its scores have a cap"
    : null;
}

function windowsItCannotSay(
  { windows, unrotated, slopedLayers }: GgufArchitecture,
  attended: readonly Attention[],
  { layers }: GgufFacts,
): string | null {
  const lengths = new Set(attended.flatMap(({ window }) => window ?? []));
  if (lengths.size > 1) return "its windows differ in length";
  const some = attended.some(({ window }) => window === null);
  const may = windows !== undefined && mayHaveWindows(windows, layers);
  if (lengths.size === 1 && (!may || windows.period === "all" && some)) {
    return "some of its layers have a window";
  }
  const windowed = windows?.layers === undefined ? lengths.size > 0 : may;
  const isStill = ({ rope }: Attention) => rope === null;
  const still = (at: number) =>
    layers === slopedLayers || (unrotated?.(at, attended[at].window !== null, windowed) ?? false);
  if (attended.some((attention, at) => isStill(attention) !== still(at))) {
    return "other layers rotate nothing than in that architecture";
  }
  return rotationsItCannotSay(windows, attended);
}

/** What layers with a window and those without rotate by. */
function rotationsItCannotSay(
  windows: GgufArchitecture["windows"],
  attended: readonly Attention[],
): string | null {
  const ropes = (slides: boolean) => {
    const found = attended.flatMap(({ window, rope }) =>
      rope && (window !== null) === slides ? rope : []
    );
    return new Map(found.map((rope) => [JSON.stringify(rope), rope]));
  };
  const [near, far] = [ropes(true), ropes(false)];
  if (near.size > 1 || far.size > 1) return "its layers rotate in more than two ways";
  const [[nearRope], [farRope]] = [[...near.values()], [...far.values()]];
  if (nearRope?.scaling && windows?.unscaled) {
    return "rotary frequencies of its layers with a window are scaled";
  }
  if (!nearRope || !farRope || JSON.stringify(nearRope) === JSON.stringify(farRope)) return null;
  if (!windows || windows.period === "all") return "its layers rotate in two ways";
  const sameScaling = JSON.stringify(nearRope.scaling) === JSON.stringify(farRope.scaling);
  return windows.unscaled || sameScaling
    ? null
    : "rotary frequencies of its layers with a window are scaled otherwise";
}

function differ(found: number | undefined, implied: number): boolean {
  return Math.abs((found ?? 1) / implied - 1) > TOLERANCE;
}
