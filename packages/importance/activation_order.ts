import {
  blockNumber,
  groupSize,
  type LayerSpec,
  type ModelSpec,
  outputProjection,
  shapeOfLayers,
} from "@lopper/core";
import type { Decoder, UnitOrder } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet } from "./calibration.ts";

/** What is ordered: the channels of every MLP, or the KV groups of every attention. */
export type UnitKind = "channels" | "kvGroups";

/** Ways to put the units of a block in order of importance by what passes through them. */
export const ACTIVATION_METRICS = ["energy", "wanda"] as const;
export type ActivationMetric = typeof ACTIVATION_METRICS[number];

/**
 * What an inner channel c is worth, from the mean over the tokens of the square of its activation a_c and column c of the
 * projection that it enters, W:
 *
 * - `energy`: E[a_c²] · ‖W[:,c]‖₂², the mean energy of its share of the block's output: what the layer-wise error of OSSCAR
 *   (arXiv 2403.12983) becomes where channels do not depend on each other.
 * - `wanda`: √E[a_c²] · ‖W[:,c]‖₁, Wanda's score |W_ij| · ‖x_j‖₂ (arXiv 2306.11695, equation 1) summed over its weights.
 *
 * @param meanSquares `[channels]`
 * @param columns W transposed, `[channels, hiddenSize]`
 */
export function channelScores(
  metric: ActivationMetric,
  meanSquares: Float64Array,
  columns: Float32Array,
): Float64Array {
  const size = columns.length / meanSquares.length;
  return meanSquares.map((square, c) => {
    let squares = 0, absolutes = 0;
    for (let i = c * size; i < (c + 1) * size; i++) {
      squares += columns[i] * columns[i];
      absolutes += Math.abs(columns[i]);
    }
    return metric === "energy" ? square * squares : Math.sqrt(square) * absolutes;
  });
}

/** The mean square of every inner channel of every block that is there, by the number of the block. */
export type InnerEnergy = ReadonlyMap<number, Float64Array>;

/**
 * One pass over a text, batch by batch, that keeps the sums of squares of what enters `down` and `o`: a number for each
 * channel, in the order in which the decoder's weights lie.
 */
export async function innerEnergy(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  set: CalibrationSet,
  options: BatchOptions & { readonly onProgress?: (tokensDone: number) => void } = {},
): Promise<InnerEnergy> {
  const shape = shapeOfLayers(decoder.spec, layers);
  const sums = new Map<number, Float64Array>();
  let tokens = 0;
  for (const numbers of batchNumbers(set, options)) {
    const sequences = numbers.map((i) => set.sequences[i]);
    let stream = await decoder.embed(sequences);
    for (const [block, size] of shape.entries()) {
      if (!size) continue;
      const watched = await decoder.watchBlock(block, shape, stream, "energy");
      stream = watched.stream;
      const sum = sums.get(block) ?? new Float64Array(watched.inner.length);
      watched.inner.forEach((value, c) => sum[c] += value);
      sums.set(block, sum);
    }
    tokens += sequences.length * set.length;
    options.onProgress?.(tokens);
  }
  return new Map([...sums].map(([block, sum]) => [block, sum.map((value) => value / tokens)]));
}

/**
 * An order of the decoder's units by a metric, most important first. Units of one kind move, and only those that `layers`
 * keeps: what is cut off already stays where it is, behind them. A KV group counts what its query channels do together;
 * equal scores keep the order of before.
 */
export function activationOrder(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  kind: UnitKind,
  metric: ActivationMetric,
  energy: InnerEnergy,
): UnitOrder {
  const { weights, spec } = decoder;
  const block = kind === "channels" ? "mlp" : "attention";
  const sizes = shapeOfLayers(spec, layers);
  return {
    layers: weights.order.layers.map((order, layer) => {
      const shape = layers[layer];
      const units = order[kind];
      const number = blockNumber(spec, { layer, kind: block });
      const squares = energy.get(number);
      if (!units || !shape[block] || !squares) return order;
      const projection = outputProjection(decoder.blocks[number]).name;
      const columns = weights.block(number, sizes[number]!)
        .find(({ name }) => name === projection)!.data;
      const scores = channelScores(metric, squares, columns);
      const width = unitWidth(spec, shape, kind);
      const byUnit = Array.from(
        { length: scores.length / width },
        (_, u) => scores.subarray(u * width, (u + 1) * width).reduce((a, b) => a + b, 0),
      );
      return { ...order, [kind]: reordered(units, byUnit) };
    }),
  };
}

/** Inner channels of a unit of a block that is there. */
export function unitWidth({ headDim }: ModelSpec, { attention }: LayerSpec, kind: UnitKind) {
  return kind === "channels" ? 1 : headDim * groupSize(attention!);
}

/** As `activationOrder`, by another order of all units, e.g. that of the weights. */
export function orderLike(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  kind: UnitKind,
  other: UnitOrder,
): UnitOrder {
  return {
    layers: decoder.weights.order.layers.map((order, layer) => {
      const { attention, mlp } = layers[layer];
      const kept = kind === "channels" ? mlp?.intermediateSize : attention?.kvHeads;
      const units = order[kind];
      const wanted = other.layers[layer][kind];
      if (!units || !wanted || kept === undefined) return order;
      const there = new Set(units.slice(0, kept));
      return {
        ...order,
        [kind]: [...wanted.filter((unit) => there.has(unit)), ...units.slice(kept)],
      };
    }),
  };
}

/** The first units by their scores, largest first, then the others as they are. */
function reordered(units: readonly number[], scores: readonly number[]): readonly number[] {
  const places = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  return [...places.map((place) => units[place]), ...units.slice(scores.length)];
}
