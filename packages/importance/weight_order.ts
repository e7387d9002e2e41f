import { type AttentionShape, type BlockRef, groupSize } from "@lopper/core";
import { type Model, weightsOfBlock } from "@lopper/models";
import type { UnitOrder } from "@lopper/runtime";

/**
 * The published order inside a block, by L1 norms of the dense weights, largest first: channel c by
 * ‖gate[c,:]‖₁ + ‖up[c,:]‖₁; a KV group by the mean over its query heads' rows of ‖q row‖₁ + ‖k row‖₁ + ‖v row‖₁. Biases
 * do not count. Sums are in double precision; equal values keep the order of the checkpoint.
 */
export async function weightOrder(model: Model): Promise<UnitOrder> {
  const layers = [];
  for (let layer = 0; layer < model.spec.layers.length; layer++) {
    const { attention, mlp } = model.spec.layers[layer];
    layers.push({
      kvGroups: attention && descending(await kvGroupNorms(model, layer, attention)),
      channels: mlp && descending(await channelNorms(model, layer)),
    });
  }
  return { layers };
}

async function channelNorms(model: Model, layer: number): Promise<Float64Array> {
  const ref = { layer, kind: "mlp" } as const;
  const gate = await rowNorms(model, ref, "gate");
  const up = await rowNorms(model, ref, "up");
  return gate.map((norm, c) => norm + up[c]);
}

async function kvGroupNorms(
  model: Model,
  layer: number,
  shape: AttentionShape,
): Promise<Float64Array> {
  const ref = { layer, kind: "attention" } as const;
  const { headDim } = model.spec;
  const repeats = groupSize(shape);
  const sumsOf = async (weight: "q" | "k" | "v", rowsPerGroup: number) => {
    const sums = new Float64Array(shape.kvHeads);
    (await rowNorms(model, ref, weight)).forEach((norm, row) => {
      sums[Math.floor(row / rowsPerGroup)] += norm;
    });
    return sums;
  };
  const q = await sumsOf("q", headDim * repeats);
  const k = await sumsOf("k", headDim);
  const v = await sumsOf("v", headDim);
  return q.map((sum, group) => (sum + repeats * (k[group] + v[group])) / (repeats * headDim));
}

/** ‖row‖₁ of every row of a weight of a block. */
async function rowNorms(model: Model, ref: BlockRef, weight: "gate" | "up" | "q" | "k" | "v") {
  const tensor = weightsOfBlock(model, ref).get(weight);
  if (!tensor) throw new TypeError(`layer ${ref.layer} has no weight ${weight}`);
  const values = await model.store.readFloat32(tensor.name);
  const [rows, columns] = tensor.shape;
  const norms = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) sum += Math.abs(values[i]);
    norms[row] = sum;
  }
  return norms;
}

function descending(values: Float64Array): readonly number[] {
  return Array.from(values, (_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
}
