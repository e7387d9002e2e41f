import {
  type Block,
  ExportError,
  type KeptUnits,
  type PrunePlan,
  type UnitAxis,
  unitIndices,
} from "@lopper/core";
import type { GgufTensorEntry, ImportanceEntry, ImportanceMatrix } from "@lopper/formats";
import { type GgufArchitecture, ggufTensorName, type Model, type Weight } from "@lopper/models";
import type { GgufLayer } from "./layers.ts";
import { packedName } from "./packed.ts";

/** An importance matrix of the model from which another one was pruned. */
export interface ImportanceSource {
  /** What messages call it. */
  readonly file: string;
  readonly matrix: ImportanceMatrix;
  /** What was kept of that model; null where it is the model itself. */
  readonly plan: PrunePlan | null;
}

/** A block of the result, and where it was. */
interface PlacedBlock {
  readonly block: Block;
  /** In the file that is written, and in that of the model before pruning. */
  readonly layer: number;
  readonly from: number;
  /** Units that were kept; null for all. */
  readonly units: KeptUnits | null;
}

const OUTER = ["output.weight", "token_embd.weight"];

/**
 * An importance matrix as a pruned model needs it: entries have the numbers that their layers have
 * now, and lack the inputs and the experts that went; those of blocks that went are gone.
 * @returns with a sentence about matrices of which it says nothing.
 * @throws {ExportError} when the matrix is of another model, or not of the plan's.
 */
export function cutImportance(
  model: Model,
  arch: GgufArchitecture,
  { layers, tensors }: {
    readonly layers: readonly GgufLayer[];
    readonly tensors: readonly GgufTensorEntry[];
  },
  { file, matrix, plan }: ImportanceSource,
): { readonly matrix: ImportanceMatrix; readonly notes: readonly string[] } {
  const refuse = (entry: string, problem: string): never => {
    throw new ExportError(
      `${file}: its entry ${JSON.stringify(entry)} ${problem}; it needs to be of the model ${
        plan ? "that was pruned" : "that is exported"
      }`,
    );
  };
  const cut = new Map<string, ImportanceEntry>();
  const used = new Set<string>();
  let missing = 0;
  for (const placed of placedBlocks(model, layers, plan)) {
    for (const weight of matricesOf(model, placed.block)) {
      const name = nameOf(arch, weight, placed.layer);
      if (cut.has(name)) continue;
      const found = [nameOf(arch, weight, placed.from), ...joinedName(weight, placed.from)]
        .find((candidate) => matrix.entries.has(candidate));
      if (found === undefined) missing += 1;
      else {
        used.add(found);
        const part = partOf(matrix.entries.get(found)!, weight, placed);
        cut.set(name, typeof part === "string" ? refuse(found, part) : part);
      }
    }
  }
  for (const [name, entry] of matrix.entries) {
    if (used.has(name)) continue;
    if (OUTER.includes(name)) {
      const inputs = entry.squares.length / entry.counts.length;
      const { hiddenSize } = model.architecture;
      if (inputs !== hiddenSize) refuse(name, `has ${inputs} inputs, and there are ${hiddenSize}`);
      cut.set(name, entry);
    } else if (!isGone(name, model, arch, plan)) refuse(name, "is of no matrix of the model");
  }
  for (const [name, entry] of ofZeros(layers, tensors)) cut.set(name, entry);
  const sorted = new Map([...cut].sort(([a], [b]) => a < b ? -1 : 1));
  return {
    matrix: { ...matrix, entries: sorted },
    notes: missing === 0 ? [] : [`the importance matrix says nothing of ${missing} matrices`],
  };
}

/** Of matrices of zeros, whose columns are all alike: without entries few bits are not written. */
function* ofZeros(
  layers: readonly GgufLayer[],
  tensors: readonly GgufTensorEntry[],
): Generator<readonly [string, ImportanceEntry]> {
  for (const { name, shape } of tensors) {
    const [, number, block] = /^blk\.(\d+)\.(attn|ffn)_/.exec(name) ?? [];
    const layer = layers[Number(number)];
    const zero = block === "attn" ? layer?.attention === "zero" : layer?.mlp === "zero";
    if (block === undefined || !zero || shape.length === 1) continue;
    const squares = new Float32Array(shape[shape.length - 1]).fill(1);
    yield [name, { squares, counts: Float32Array.of(1) }];
  }
}

/** The blocks of a model, with their places before and after. */
function placedBlocks(
  { architecture }: Model,
  layers: readonly GgufLayer[],
  plan: PrunePlan | null,
): readonly PlacedBlock[] {
  const { blocks, kinds } = architecture;
  const layerOf = (block: Block) =>
    layers.findIndex(({ attention, mlp }) => attention === block || mlp === block);
  const kept = plan?.layers.flatMap((layer, from) =>
    kinds.flatMap((kind) => {
      const units = layer[kind] ?? "removed";
      return units === "removed" ? [] : [{ kind, from, units }];
    })
  );
  if (
    kept && kept.some(({ kind }, i) => kind !== blocks[i]?.kind) ||
    kept && kept.length !== blocks.length
  ) {
    throw new ExportError(
      `the plan beside the model keeps ${kept.length} blocks, and the model has ${blocks.length} others`,
    );
  }
  return blocks.map((block, i) => ({
    ...{ block, layer: layerOf(block) },
    from: kept?.[i].from ?? block.layer,
    units: kept?.[i].units ?? null,
  }));
}

function matricesOf({ weights }: Model, { layer, kind }: Block): readonly Weight[] {
  return weights.filter(({ role, tensor }) =>
    "layer" in role && role.part === kind && role.layer === layer && tensor.shape.length > 1
  );
}

function nameOf(arch: GgufArchitecture, { role }: Weight, layer: number): string {
  return packedName(arch, role, layer) ?? ggufTensorName(arch, role, layer);
}

/** Files of every architecture may have q, k and v in one tensor. */
function joinedName({ role }: Weight, layer: number): readonly string[] {
  const joined = "layer" in role && role.part === "attention" &&
    ["q", "k", "v"].includes(role.weight);
  return joined ? [`blk.${layer}.attn_qkv.weight`] : [];
}

/** What of an entry is left; a sentence where it does not fit. */
function partOf(
  { squares, sums, counts }: ImportanceEntry,
  { role, tensor }: Weight,
  { block, units }: PlacedBlock,
): ImportanceEntry | string {
  const { axes } = block.weights.find(({ name }) => "layer" in role && name === role.weight)!;
  const stacked = tensor.shape.length > 2;
  const [first, last] = [axes[0], axes[axes.length - 1]];
  const matrices = stacked && typeof first !== "number" && units?.[first.dimension]
    ? unitIndices(first, units[first.dimension])
    : null;
  const [left, inputs] = [stacked ? tensor.shape[0] : 1, tensor.shape[tensor.shape.length - 1]];
  const kept = typeof last === "number" ? undefined : units?.[last.dimension];
  const experts = kept && stacked
    ? kept.length / inputs - sharedOwners(block)
    : squares.length / inputs;
  // Counts are one for all in the older form.
  const all = counts.length > 1 ? counts.length : matrices ? experts : left;
  const width = squares.length / all;
  const chosen = matrices ?? Uint32Array.from({ length: left }, (_, i) => i);
  const places = Array.from(
    chosen,
    (matrix) =>
      kept && Number.isInteger(width)
        ? inputsKept(last as UnitAxis, kept, width, stacked ? matrix : null)
        : Uint32Array.from({ length: inputs }, (_, i) => i),
  );
  const most = (indices: Uint32Array) => Math.max(...indices.slice(-1)) + 1;
  const widest = Math.max(...places.map(most));
  const fits = Number.isInteger(width) && Number.isInteger(all) &&
    places.every(({ length }) => length === inputs) &&
    (kept ? widest <= width : width === inputs) &&
    (matrices ? most(matrices) <= all : all === left);
  if (!fits) {
    return `has ${squares.length} values, of which ${left} × ${inputs} are to be left` +
      (kept || matrices ? `, up to number ${matrices ? most(matrices) : left} × ${widest}` : "");
  }
  const take = (values: Float32Array) => {
    const part = new Float32Array(chosen.length * inputs);
    chosen.forEach((matrix, i) =>
      places[i].forEach((place, j) => part[i * inputs + j] = values[matrix * width + place])
    );
    return part;
  };
  return {
    squares: take(squares),
    ...(sums && { sums: take(sums) }),
    counts: counts.length > 1 ? Float32Array.from(chosen, (matrix) => counts[matrix]) : counts,
  };
}

/** Owners of units that no token is sent to: all tokens go through what is theirs. */
function sharedOwners({ dimensions }: Block): number {
  const owned = dimensions.find(({ owners }) => owners !== undefined);
  return owned ? owned.owners! - dimensions[0].units : 0;
}

/**
 * Inputs of a matrix that are kept, by their numbers in the model before pruning.
 * @param kept units of the block.
 * @param width inputs that the matrix had.
 * @param expert whose matrix it is; null of one that is not stacked.
 */
function inputsKept(
  axis: UnitAxis,
  kept: readonly number[],
  width: number,
  expert: number | null,
): Uint32Array {
  if (expert !== null) {
    const own = kept.filter((unit) => Math.floor(unit / width) === expert);
    return Uint32Array.from(own, (unit) => unit % width);
  }
  if (axis.from === undefined) return unitIndices(axis, kept);
  // Those behind the experts' own, whose numbers the plan has as they were.
  const each = width / axis.width;
  const from = (Math.floor(kept[kept.length - 1] / each) + 1 - axis.width) * each;
  return Uint32Array.from(kept.filter((unit) => unit >= from), (unit) => unit - from);
}

/** Whether an entry is of a block that went. */
function isGone(
  name: string,
  { weights }: Model,
  arch: GgufArchitecture,
  plan: PrunePlan | null,
): boolean {
  const [, number, rest] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
  const layer = plan?.layers[Number(number)];
  if (!layer) return false;
  const kind = weights.map((weight) => [weight.role, nameOf(arch, weight, 0)] as const)
    .find(([role, named]) => "layer" in role && named === `blk.0.${rest}`)?.[0].part ??
    (rest === "attn_qkv.weight" ? "attention" : null);
  return kind !== null && (layer[kind] ?? "removed") === "removed";
}
