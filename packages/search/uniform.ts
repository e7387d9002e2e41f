import { type Block, UsageError } from "@lopper/core";
import { everywhere, layerCandidates, placesWith } from "./candidates.ts";
import {
  checkedShares,
  checkedTargets,
  checkGroups,
  dimensionsOf,
  sharedOut,
} from "./check_policy.ts";
import { competing } from "./competition.ts";
import { type SearchDimension, unitsOfGroup, unitWidth } from "./dimensions/dimension.ts";
import type { MultiPrunerOptions, PolicyOptions, SearchPolicy, Stage } from "./policy.ts";
import type { Proposal } from "./proposal.ts";
import { savedBy } from "./saved.ts";
import { resourceOf, savingPolicy } from "./saving.ts";
import type { SearchModel } from "./search_model.ts";
import { denseState, type SearchState, stateAfter } from "./state.ts";

/**
 * MultiPruner for runtimes that know uniform models only: whole layers go, and units of all layers
 * at once. Dimensions of which only whole groups go come before those that are trimmed to a bound,
 * and a stage ends before the step that would cross its bound, since those steps are coarse; what
 * is missing to the target goes with the last of the stages that have a share: as a rule channels.
 * @throws {UsageError} when a number makes no sense for this model, or its layers differ already.
 */
export function uniformPruner(model: SearchModel, options: MultiPrunerOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkUniform(model, options);
  const saved = savedOf(model, options);
  const [ofLayers, ...ofDimensions] = checkedShares(model, options);
  const layers = {
    name: "layers",
    samples: "block",
    share: ofLayers,
    candidates: layerCandidates,
    narrows: [],
  } as const;
  const widths = sharedOut(model, options).map((dimension, d) => ({
    name: dimension.name,
    samples: "width" as const,
    share: ofDimensions[d],
    candidates: unitsOfAll(model, dimension, options),
    narrows: [dimension.name],
    isTrimmed: dimension.trimmedTo !== undefined,
  }));
  const kinds = [
    layers,
    ...widths.filter(({ isTrimmed }) => !isTrimmed),
    ...widths.filter(({ isTrimmed }) => isTrimmed),
  ];
  const used = kinds.filter(({ share }) => share > 0);
  const stages = targets.flatMap((target, i) => {
    const start = targets[i - 1] ?? 0;
    let bound = start;
    return used.map(({ name, samples, share, narrows, candidates }, n): Stage => {
      const stage = { name, samples, narrows, candidates };
      if (n === used.length - 1) return { ...stage, bound: target };
      bound += (target - start) * share;
      return {
        ...stage,
        bound,
        candidates: (state, bound) => candidates(state, bound).filter((c) => saved(c) <= bound),
        endsShort: true,
      };
    });
  });
  return { ...savingPolicy(model, options, stages), uniform: true };
}

/**
 * As `competition`, with what keeps all layers alike. What only goes in whole groups is left out
 * where it would cross the target, as long as units can go that are trimmed to it.
 * @throws {UsageError} when a number makes no sense for this model, or its layers differ already.
 */
export function uniformCompetition(model: SearchModel, options: PolicyOptions): SearchPolicy {
  const targets = checkedTargets(options);
  checkUniform(model, options);
  const saved = savedOf(model, options);
  const [trimmed, whole] = [true, false].map((isTrimmed) =>
    dimensionsOf(model, options).filter(({ trimmedTo }) => (trimmedTo !== undefined) === isTrimmed)
      .map((dimension) => unitsOfAll(model, dimension, options))
  );
  const candidates = (state: SearchState, bound: number) => {
    const coarse = [...layerCandidates(state), ...whole.flatMap((of) => of(state, bound))];
    const fine = trimmed.flatMap((of) => of(state, bound)).filter((c) => saved(c) > saved(state));
    return [
      ...(fine.length === 0 ? coarse : coarse.filter((c) => saved(c) <= bound)),
      ...fine,
    ];
  };
  const stages = competing(model, options, targets, candidates);
  return { ...savingPolicy(model, options, stages), uniform: true };
}

/** What a shape saves of what is to be saved, in per cent of the dense model's. */
function savedOf(model: SearchModel, options: PolicyOptions) {
  const resource = resourceOf(model, options);
  return ({ shape }: Pick<SearchState, "shape">) => savedBy(resource, model.blocks, shape);
}

/** What a uniform policy saves in per cent when its last stage goes on to its end. */
export function largestUniformRatio(
  { blocks }: SearchModel,
  { stages, resource }: SearchPolicy,
): number {
  let state = denseState(blocks);
  const saved = () => savedBy(resource, blocks, state.shape);
  const last = stages.at(-1);
  for (const stage of stages) {
    const bound = stage === last ? 100 : stage.bound;
    while (saved() < bound) {
      const [first] = stage.candidates(state, bound);
      if (!first) break;
      state = stateAfter(state, first);
    }
  }
  return saved();
}

/**
 * The one candidate that takes a group of every block that has the dimension: the fewest more that
 * readers of plain models know. A dimension that is trimmed loses fewer units where those reach the
 * bound. None where nothing would be left.
 */
function unitsOfAll(
  model: SearchModel,
  dimension: SearchDimension,
  options: PolicyOptions,
): Stage["candidates"] {
  const { name, fits = () => true, least = () => 1 } = dimension;
  const saved = savedOf(model, options);
  return (state, bound): readonly Proposal[] => {
    const [at] = placesWith(state, name);
    if (at === undefined) return [];
    const block = state.blocks[at];
    const now = state.shape[at]![name];
    const group = unitsOfGroup(block, name, options.groups);
    const unit = trimOf(block, dimension, options);
    if (unit === null) {
      for (let left = now - group; left >= least(block); left -= group) {
        if (fits(block, left)) return [everywhere(state, name, left)];
      }
      return [];
    }
    const most = Math.min(group, now - 1 - (now - 1) % unit);
    if (most < 1) return [];
    const reaches = (units: number) => saved(everywhere(state, name, now - units)) >= bound;
    let units = most;
    while (units > unit && reaches(units - unit)) units -= unit;
    return [everywhere(state, name, now - units)];
  };
}

/** Units to which a cut may be trimmed; null where whole groups go. */
function trimOf(
  block: Block,
  { name, trimmedTo }: SearchDimension,
  { groups }: PolicyOptions,
): number | null {
  if (trimmedTo === undefined) return null;
  const channels = groups[name] % trimmedTo === 0 ? trimmedTo : 1;
  return Math.max(1, channels / unitWidth(block, name));
}

function checkUniform(model: SearchModel, options: PolicyOptions) {
  checkGroups(model, options);
  if (isUniform(model)) return;
  throw new UsageError(
    "--uniform needs a model whose layers are alike, and the layers of this one differ already; leave out --uniform",
  );
}

/** Whether every layer has blocks, and the same as all others. */
function isUniform({ blocks, layers }: SearchModel): boolean {
  const byLayer = Map.groupBy(blocks, ({ layer }) => layer);
  const kinds = [...byLayer.values()].map((own) =>
    JSON.stringify(own.map(({ kind, dimensions, weights }) => ({ kind, dimensions, weights })))
  );
  return kinds.length === layers && new Set(kinds).size === 1;
}
