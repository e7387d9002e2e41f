import { isUniform, type LayerSpec, type ModelSpec, reduction, UsageError } from "@lopper/core";
import {
  allChannelsCandidate,
  allHeadsCandidate,
  type Candidate,
  layerCandidates,
} from "./candidate.ts";
import { checkedShares, checkedTargets, checkGroups } from "./check_policy.ts";
import { competing } from "./competition.ts";
import type { MultiPrunerOptions, PolicyOptions, SearchPolicy, Stage } from "./policy.ts";
import { resourceOf, savingPolicy } from "./saving.ts";

/** Channels in which the last cut ends where groups are made of so many: the block of most quantisations. */
const CHANNEL_UNIT = 32;

/**
 * MultiPruner for runtimes that know uniform models only: whole layers go, and channels and heads of all layers at once. Heads
 * come before channels, and a stage ends before the step that would cross its bound, since those steps are coarse; what
 * is missing to the target goes with the last of the stages that have a share: as a rule channels, which end within
 * `CHANNEL_UNIT` of them.
 * @throws {UsageError} when a number makes no sense for this model, or its layers differ already.
 */
export function uniformPruner(spec: ModelSpec, options: MultiPrunerOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkUniform(spec, options);
  const saved = savedOf(spec, options);
  const [layerShare, channelShare, headShare] = checkedShares(options);
  const kinds:
    readonly (Pick<Stage, "name" | "samples" | "candidates" | "narrows"> & { share: number })[] = [
      {
        name: "layers",
        samples: "block",
        share: layerShare,
        candidates: layerCandidates,
        narrows: [],
      },
      {
        name: "attention_heads",
        samples: "width",
        share: headShare,
        candidates: (layers) => headsOfAll(spec, layers, options),
        narrows: ["kvGroups"],
      },
      {
        name: "mlp_channels",
        samples: "width",
        share: channelShare,
        candidates: (layers, bound) => channelsOfAll(spec, layers, options, bound),
        narrows: ["channels"],
      },
    ];
  const used = kinds.filter(({ share }) => share > 0);
  const stages = targets.flatMap((target, i) => {
    const start = targets[i - 1] ?? 0;
    let bound = start;
    return used.map(({ share, ...stage }, n): Stage => {
      if (n === used.length - 1) return { ...stage, bound: target };
      bound += (target - start) * share;
      const candidates: Stage["candidates"] = (layers, bound) =>
        stage.candidates(layers, bound).filter((c) => saved(c.layers) <= bound);
      return { ...stage, bound, candidates, endsShort: true };
    });
  });
  return { ...savingPolicy(spec, options, stages), uniform: true };
}

/**
 * As `competition`, with what keeps all layers alike. Layers and heads that would cross the target are left out as long as
 * channels can go.
 * @throws {UsageError} when a number makes no sense for this model, or its layers differ already.
 */
export function uniformCompetition(spec: ModelSpec, options: PolicyOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkUniform(spec, options);
  const saved = savedOf(spec, options);
  const candidates = (layers: readonly LayerSpec[], bound: number) => {
    const coarse = [...layerCandidates(layers), ...headsOfAll(spec, layers, options)];
    const channels = channelsOfAll(spec, layers, options, bound)
      .filter((c) => saved(c.layers) > saved(layers));
    return [
      ...(channels.length === 0 ? coarse : coarse.filter((c) => saved(c.layers) <= bound)),
      ...channels,
    ];
  };
  const stages = competing(spec, options, targets, candidates);
  return { ...savingPolicy(spec, options, stages), uniform: true };
}

/** What layers save of what is to be saved, in per cent of the dense model's. */
function savedOf(spec: ModelSpec, options: PolicyOptions) {
  const resource = resourceOf(spec, options);
  return (layers: readonly LayerSpec[]) => reduction(resource, spec.layers, layers);
}

/** What a uniform policy saves in per cent when its last stage goes on to its end. */
export function largestUniformRatio(
  spec: ModelSpec,
  { stages, resource }: SearchPolicy,
): number {
  const saved = (layers: readonly LayerSpec[]) => reduction(resource, spec.layers, layers);
  let layers = spec.layers;
  const last = stages.at(-1);
  for (const stage of stages) {
    const bound = stage === last ? 100 : stage.bound;
    while (saved(layers) < bound) {
      const [first] = stage.candidates(layers, bound);
      if (!first) break;
      layers = first.layers;
    }
  }
  return saved(layers);
}

/**
 * The one candidate that takes `mlpGroup` channels of every MLP; fewer where those reach the bound, and none where nothing
 * would be left.
 */
function channelsOfAll(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  options: PolicyOptions,
  bound: number,
): readonly Candidate[] {
  const { mlpGroup } = options;
  const saved = savedOf(spec, options);
  const width = layers.find(({ mlp }) => mlp)!.mlp!.intermediateSize;
  const unit = mlpGroup % CHANNEL_UNIT === 0 ? CHANNEL_UNIT : 1;
  const group = Math.min(mlpGroup, width - 1 - (width - 1) % unit);
  if (group < 1) return [];
  const reaches = (channels: number) =>
    saved(allChannelsCandidate(layers, width - channels).layers) >= bound;
  let channels = group;
  while (channels > unit && reaches(channels - unit)) channels -= unit;
  return [allChannelsCandidate(layers, width - channels)];
}

/**
 * The one candidate that takes `attentionGroup` query channels of every attention, or the fewest more whose heads divide the
 * hidden size: readers of plain models ask for that.
 */
function headsOfAll(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  { attentionGroup }: PolicyOptions,
): readonly Candidate[] {
  const { queryHeads } = layers.find(({ attention }) => attention)!.attention!;
  const group = attentionGroup / spec.headDim;
  for (let heads = queryHeads - group; heads > 0; heads -= group) {
    if (spec.hiddenSize % heads === 0) return [allHeadsCandidate(spec, layers, heads)];
  }
  return [];
}

function checkUniform(spec: ModelSpec, options: PolicyOptions) {
  checkGroups(spec, options);
  if (isUniform(spec.layers)) return;
  throw new UsageError(
    "--uniform needs a model whose layers are alike, and the layers of this one differ already; leave out --uniform",
  );
}
