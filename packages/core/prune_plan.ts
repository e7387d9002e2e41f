import { type Block, blockId } from "./block.ts";
import { unitCount } from "./owners.ts";
import {
  allKept,
  type KeptByBlock,
  type KeptUnits,
  misplacedUnit,
  shapeOfKept,
  unevenGroups,
} from "./change.ts";
import { PlanError } from "./errors.ts";
import { type Architecture, withShape } from "./architecture.ts";

/**
 * What stays of a checkpoint, in the coordinates of that checkpoint. Independent of any ranking:
 * the indices are those of the original tensors, so a plan means the same thing to every reader.
 */
export interface PrunePlan {
  /** Digest of the checkpoint that the plan belongs to; it is refused on any other. */
  readonly modelDigest: string;
  readonly layers: readonly LayerPlan[];
  /**
   * Removed blocks in the order in which the search took them; removed blocks that it does not name
   * come first.
   */
  readonly removalOrder: readonly BlockRef[];
}

/**
 * What a layer keeps, by kind of block: units by dimension, ascending. A dimension whose units have
 * owners is left out where all of them stay, as plans had none of it before.
 */
export type LayerPlan = Readonly<Record<string, KeptUnits | "removed">>;

/** A block by its place. */
export interface BlockRef {
  readonly layer: number;
  readonly kind: string;
}

/** What a plan has to know of a model's layers. */
type PlannedLayers = Pick<Architecture, "layerCount" | "kinds" | "eitherOf" | "blocks">;

/** The plan that keeps this of a model. */
export function planOfKept(
  { layerCount, kinds, eitherOf = [], blocks }: PlannedLayers,
  kept: KeptByBlock,
  rest: Omit<PrunePlan, "layers">,
): PrunePlan {
  const units = new Map(blocks.map((block, number) => [block.id, named(block, kept[number])]));
  const has = (layer: number, kind: string) => units.has(blockId(layer, kind));
  return {
    ...rest,
    layers: Array.from({ length: layerCount }, (_, layer): LayerPlan => {
      // What stands there in place of another kind is all that there is to say.
      const other = eitherOf.filter((kind) => !has(layer, kind));
      const left = other.length < eitherOf.length ? other : [];
      return Object.fromEntries(
        kinds.filter((kind) => !left.includes(kind))
          .map((kind) => [kind, units.get(blockId(layer, kind)) ?? "removed"]),
      );
    }),
  };
}

/** What a plan says of a block: a mixture has as many channels as all MLPs of a model together. */
function named({ dimensions }: Block, kept: KeptUnits | null): KeptUnits | null {
  const all = dimensions.filter((one) =>
    one.owners !== undefined && kept?.[one.name]?.length === unitCount(one)
  );
  if (!kept || all.length === 0) return kept;
  const names = all.map(({ name }) => name);
  return Object.fromEntries(Object.entries(kept).filter(([name]) => !names.includes(name)));
}

/** The plan that keeps everything of `architecture`. */
export function densePlan(
  architecture: PlannedLayers,
  modelDigest: string,
): PrunePlan {
  return planOfKept(architecture, allKept(architecture.blocks), { modelDigest, removalOrder: [] });
}

/**
 * The model that remains when `plan` is applied to `architecture`.
 * @throws {PlanError} as `keptOf`.
 */
export function prunedArchitecture(architecture: Architecture, plan: PrunePlan): Architecture {
  return withShape(architecture, shapeOfKept(architecture.blocks, keptOf(architecture, plan)));
}

/**
 * What a plan keeps of the blocks of a model.
 * @throws {PlanError} when the plan names layers, blocks or units that the model does not have, or
 *   as removed what it keeps.
 */
export function keptOf(
  { layerCount, blocks }: Pick<Architecture, "layerCount" | "blocks">,
  plan: PrunePlan,
): KeptByBlock {
  if (plan.layers.length !== layerCount) {
    throw new PlanError(
      `the plan describes ${plan.layers.length} layers and the model has ${layerCount}`,
    );
  }
  checkRemovalOrder(plan);
  const known = new Set(blocks.map(({ id }) => id));
  plan.layers.forEach((kinds, layer) => {
    for (const [kind, units] of Object.entries(kinds)) {
      if (units !== "removed" && !known.has(blockId(layer, kind))) {
        throw new PlanError(`the plan keeps ${kind} in layer ${layer}, where the model has none`);
      }
    }
  });
  return blocks.map((block) => {
    const units = plan.layers[block.layer][block.kind] ?? "removed";
    return units === "removed" ? null : checkedUnits(block, units);
  });
}

function checkedUnits({ dimensions, kind, layer }: Block, units: KeptUnits): KeptUnits {
  const odd = Object.keys(units).find((named) => !dimensions.some(({ name }) => name === named));
  if (odd !== undefined) throw new PlanError(`the ${kind} of layer ${layer} has no ${odd}`);
  const owned = dimensions.filter(({ name, owners }) => owners !== undefined && !units[name]);
  for (const dimension of dimensions) {
    const { name } = dimension;
    if (owned.includes(dimension)) continue;
    const kept = units[name] ?? [];
    checkIndices(kept, unitCount(dimension), `${name} of the ${kind} of layer ${layer}`);
    const uneven = unevenGroups({ dimensions }, name, kept);
    if (uneven) throw new PlanError(`of the ${name} of the ${kind} of layer ${layer}, ${uneven}`);
  }
  return owned.length === 0 ? units : { ...units, ...allKept([{ dimensions: owned }])[0] };
}

/** What the order of removal names was removed, and nothing twice. */
function checkRemovalOrder({ layers, removalOrder }: PrunePlan) {
  const named = new Set<string>();
  for (const { layer, kind } of removalOrder) {
    const what = `${kind} of layer ${layer}`;
    if (layers[layer]?.[kind] !== "removed") {
      throw new PlanError(`the plan's removalOrder has ${what}, which its layers do not remove`);
    }
    if (named.has(what)) throw new PlanError(`the plan's removalOrder has ${what} twice`);
    named.add(what);
  }
}

function checkIndices(kept: readonly number[], count: number, what: string) {
  if (kept.length === 0) {
    throw new PlanError(`the plan keeps none of the ${what}; say "removed" to remove the block`);
  }
  const index = misplacedUnit(kept, count);
  if (index === undefined) return;
  throw new PlanError(
    `the plan lists ${index} among the ${what}; indices must ascend and stay below ${count}`,
  );
}
