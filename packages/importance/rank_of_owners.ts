import {
  type Block,
  type DeclaredWeight,
  DTYPE_BYTES,
  inTurns,
  ownedAxis,
  type Shape,
  sizeOf,
} from "@lopper/core";
import { toFloat32 } from "@lopper/formats";
import { type Model, weightsOfBlock } from "@lopper/models";
import type { Decoder, ExpertSums } from "@lopper/runtime";
import { descending } from "./ranked_units.ts";
import type { ActivationRule, WeightRule } from "./rankings/rule.ts";

/**
 * Units that experts own, ranked expert by expert: each by what its own are worth, and all in
 * turns, so that each loses as many.
 */

/** What all tokens go through has the names of an expert's weights behind this. */
const SHARED = "shared_";

/** A mixture by what its experts own. */
interface Owned {
  readonly dimension: string;
  /** Of each owner. */
  readonly units: number;
  readonly owners: number;
  readonly experts: number;
  /** Weights of an expert, without its axis, by which it owns units. */
  readonly weights: readonly DeclaredWeight[];
  /** The same of what all tokens go through, by an expert's names; none where it owns nothing. */
  readonly shared: readonly DeclaredWeight[];
}

/** What experts of a block own of a dimension; undefined where they own nothing. */
function ownedOf(block: Block, dimension: string): Owned | undefined {
  const { units, owners } = block.dimensions.find(({ name }) => name === dimension) ?? {};
  if (units === undefined || owners === undefined) return undefined;
  const experts = sizeOf(block)[block.dimensions[0].name];
  return {
    ...{ dimension, units, owners, experts },
    weights: block.weights.flatMap(({ name, axes, ...weight }) =>
      ownedAxis({ name, axes, ...weight }) ? [{ name, axes: axes.slice(1) }] : []
    ),
    shared: block.weights.flatMap(({ name, axes }) =>
      axes.some((axis) => typeof axis !== "number" && axis.from !== undefined)
        ? [{ name: name.slice(SHARED.length), axes: axes.map((axis) => ownAxis(axis, dimension)) }]
        : []
    ),
  };
}

function ownAxis(axis: DeclaredWeight["axes"][number], dimension: string) {
  return typeof axis === "number" ? axis : { dimension, width: 1 };
}

/** An MLP as a block of its own: an expert, or what all tokens go through. */
function asMlp(
  { id, layer, kind }: Block,
  { dimension }: Owned,
  units: number,
  weights: Block["weights"],
) {
  return { id, layer, kind, dimensions: [{ name: dimension, units }], weights };
}

/**
 * The units that experts of a block own, by a rule that needs dense weights alone; undefined where
 * they own none. One expert is in memory at a time.
 */
export async function ownedByWeights(
  model: Model,
  block: Block,
  dimension: string,
  rule: WeightRule,
): Promise<readonly number[] | undefined> {
  const owned = ownedOf(block, dimension);
  if (!owned) return undefined;
  const { units, owners, experts } = owned;
  const tensors = weightsOfBlock(model, block);
  const worth: Float64Array[] = [];
  for (let expert = 0; expert < experts; expert++) {
    const read = async ({ name }: Pick<DeclaredWeight, "name">) => {
      const { name: tensor, dtype, shape } = tensors.get(name)!;
      const length = shape.slice(1).reduce((product, d) => product * d, DTYPE_BYTES[dtype]);
      return toFloat32(dtype, await model.store.readBytes(tensor, expert * length, length));
    };
    worth.push(await rule.worth(asMlp(block, owned, units, owned.weights), dimension, read));
  }
  if (owners > experts) {
    const all = units * (owners - experts);
    const read = ({ name }: Pick<DeclaredWeight, "name">) =>
      model.store.readFloat32(tensors.get(SHARED + name)!.name);
    worth.push(...parts(
      await rule.worth(asMlp(block, owned, all, owned.shared), dimension, read),
      units,
    ));
  }
  const ranked = worth.flatMap((one, owner) => descending(one).map((unit) => owner * units + unit));
  return inTurns(ranked, { units, owners });
}

function parts(values: Float64Array, length: number): readonly Float64Array[] {
  return Array.from(
    { length: values.length / length },
    (_, i) => values.subarray(i * length, (i + 1) * length),
  );
}

/**
 * The same by what passed through them of the tokens that went to each expert. Units and experts
 * that are gone stay behind those that are there.
 */
export async function ownedByActivations(
  decoder: Decoder,
  shape: Shape,
  number: number,
  dimension: string,
  rule: ActivationRule,
  { tokens, energy }: ExpertSums,
): Promise<readonly number[] | undefined> {
  const block = decoder.blocks[number];
  const owned = ownedOf(block, dimension);
  const size = shape[number];
  if (!owned || !size || !energy) return undefined;
  const { units, owners, experts } = owned;
  const lying = decoder.weights.ranking[number]!;
  const { hiddenSize } = decoder.architecture;
  const kept = lying[dimension].slice(0, size[dimension] * owners);
  const own = Array.from({ length: owners }, (): number[] => []);
  for (const unit of kept) own[Math.floor(unit / units)].push(unit);
  const rank = (those: readonly number[], columns: Float32Array) => {
    const meanSquares = Float64Array.from(those, (unit) => energy[unit]);
    return descending(rule.worth({ meanSquares, columns })).map((place) => those[place]);
  };
  for (let place = 0; place < tokens.length; place++) {
    const expert = lying[block.dimensions[0].name][place];
    const weights = await decoder.weights.expert(number, place, size);
    const { data } = weights.find(({ name }) => name === "down")!;
    // An expert's channels lie as in the checkpoint.
    const those = own[expert].toSorted((a, b) => a - b);
    own[expert] = [...rank(those, transposed(data, hiddenSize))];
  }
  if (owners > experts) {
    const [{ data }] = await decoder.weights.block(number, size, [`${SHARED}down`]);
    const those = kept.filter((unit) => unit >= experts * units);
    for (const unit of those) own[Math.floor(unit / units)].length = 0;
    for (const unit of rank(those, data)) own[Math.floor(unit / units)].push(unit);
  }
  return [...inTurns(own.flat(), { units, owners }), ...lying[dimension].slice(kept.length)];
}

/** `[rows, columns]` as `[columns, rows]`. */
function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++) out[c * rows + row] = values[row * columns + c];
  }
  return out;
}
