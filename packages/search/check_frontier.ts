import {
  type BlockKind,
  countParameters,
  densePlan,
  groupSize,
  innerWidth,
  type LayerSpec,
  type ModelSpec,
  PlanError,
  pruningRatio,
} from "@lopper/core";
import { type CandidateName, layersAfter, removedBlocks } from "./candidate.ts";
import type { FrontierStep, Swap, SwappedBlock, Way } from "./frontier_schema.ts";
import { agrees, misfit, misfitBack } from "./misfit.ts";

/**
 * Checks what a record says of the way of a run against the model: what each step and swap removed was there, as much of
 * it as the widths say, and ratios and parameters are those of what is left.
 * @param spec the dense model.
 * @throws {PlanError} naming the step that does not fit.
 */
export function checkFrontier(spec: ModelSpec, { frontier, swaps }: Way) {
  const walk = new Walk(spec);
  for (const [i, step] of frontier.entries()) {
    walk.take(step, `step ${i + 1} of its frontier`);
    const [phase, ...others] = swaps.filter(({ steps }) => steps === i + 1);
    if (others.length > 0) throw new PlanError(`it has swaps after step ${i + 1} twice`);
    for (const [n, swap] of (phase?.kept ?? []).entries()) {
      walk.swap(swap, `swap ${n + 1} after step ${i + 1} of its frontier`);
    }
  }
  const lost = swaps.find(({ steps }) => steps < 1 || steps > frontier.length);
  if (lost) throw new PlanError(`it has swaps after step ${lost.steps}, which its frontier lacks`);
}

/** The model on its way. */
class Walk {
  readonly #spec: ModelSpec;
  #layers: readonly LayerSpec[];
  /** By layer and kind, the units that are there; none of a block that is gone. */
  readonly #units: readonly Record<BlockKind, Set<number>>[];

  constructor(spec: ModelSpec) {
    this.#spec = spec;
    this.#layers = spec.layers;
    this.#units = densePlan(spec, "").layers.map(({ attention, mlp }) => ({
      attention: new Set(attention === "removed" ? [] : attention.kvGroups),
      mlp: new Set(mlp === "removed" ? [] : mlp.channels),
    }));
  }

  take(step: FrontierStep, what: string) {
    const refuse = refuser(what);
    refuse(misfit(this.#spec, this.#layers, step));
    const before = this.#layers;
    this.#layers = layersAfter(this.#spec, before, step);
    const { kind, layer, removed, removedByLayer } = step;
    const everywhere = kind === "all_mlp_channels" || kind === "all_attention_heads";
    const lists = everywhere ? removedByLayer : before.map((_, i) => i === layer ? removed : []);
    if (everywhere !== (removedByLayer !== undefined) || lists?.length !== before.length) {
      refuse(`it does not say of ${before.length} layers what went`);
    }
    for (const [i, units] of lists!.entries()) {
      if (removedBlocks(step).length > 0) {
        refuse(units.length === 0 ? null : "a block that goes names units");
        continue;
      }
      const part = kind.endsWith("mlp_channels") ? "mlp" : "attention";
      refuse(this.#change(units, { layer: i, part, before }));
    }
    for (const block of removedBlocks(step)) this.#units[block.layer][block.kind].clear();
    refuse(amountFault(this.#spec, this.#layers, step));
  }

  swap({ restored, removed, ...amounts }: Swap, what: string) {
    const refuse = refuser(what);
    refuse(misfitBack(this.#spec, this.#layers, nameOf(restored)));
    this.#exchange(restored, refuse);
    if (removed) {
      refuse(misfit(this.#spec, this.#layers, nameOf(removed)));
      this.#exchange(removed, refuse);
    }
    refuse(amountFault(this.#spec, this.#layers, amounts));
  }

  #exchange(block: SwappedBlock, refuse: Refuse) {
    const before = this.#layers;
    this.#layers = layersAfter(this.#spec, before, nameOf(block));
    const { layer, kind: part, units, width } = block;
    if (width > 0) return refuse(this.#change(units, { layer, part, before }));
    this.#units[layer][part].clear();
    refuse(units.length === 0 ? null : "a block that goes names units");
  }

  /** Takes units out, or puts them back, as the widths of a block say; what is wrong with that. */
  #change(
    units: readonly number[],
    { layer, part, before }: {
      readonly layer: number;
      readonly part: BlockKind;
      readonly before: readonly LayerSpec[];
    },
  ): string | null {
    const count = (layers: readonly LayerSpec[]) => unitsOf(this.#spec, layers[layer], part, layer);
    const grows = count(this.#layers) - count(before);
    if (units.length !== Math.abs(grows)) {
      return `${units.length} units of layer ${layer} change, and its widths say ${
        Math.abs(grows)
      }`;
    }
    const there = this.#units[layer][part];
    const all = count(this.#spec.layers);
    for (const [i, unit] of units.entries()) {
      const fits = unit < all && there.has(unit) === grows < 0 && !(i > 0 && unit <= units[i - 1]);
      if (!fits) return `unit ${unit} of layer ${layer} cannot ${grows < 0 ? "go" : "come back"}`;
    }
    for (const unit of units) {
      if (grows < 0) there.delete(unit);
      else there.add(unit);
    }
    return null;
  }
}

type Refuse = (problem: string | null) => void;

function refuser(what: string): Refuse {
  return (problem) => {
    if (problem !== null) throw new PlanError(`${what}: ${problem}`);
  };
}

/** Channels, or KV groups, that a block has. */
function unitsOf(spec: ModelSpec, shape: LayerSpec, part: BlockKind, layer: number): number {
  const width = innerWidth(spec, shape, part);
  return part === "mlp" || width === 0
    ? width
    : width / (spec.headDim * groupSize(spec.layers[layer].attention!));
}

/** What a block that was swapped is called as a candidate. */
function nameOf({ kind, layer, width }: SwappedBlock): CandidateName {
  if (width === 0) return { kind, layer, width };
  return { kind: kind === "mlp" ? "mlp_channels" : "attention_heads", layer, width };
}

function amountFault(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  { ratio, parameters }: { readonly ratio: number; readonly parameters: number },
): string | null {
  const computed = { ratio: pruningRatio(spec, layers), ...countParameters(spec, layers) };
  if (!agrees(ratio, computed.ratio)) {
    return `its ratio is ${ratio}, and what it leaves is ${computed.ratio}`;
  }
  return parameters === computed.total
    ? null
    : `it says ${parameters} parameters, and what it leaves has ${computed.total}`;
}
