import { eliminate, GramSum, type Matrix, matrix, Products } from "@lopper/algebra";
import {
  type Block,
  blockNumber,
  CalibrationError,
  type LayerSpec,
  type ModelSpec,
  outputProjection,
  type Shape,
  shapeOfLayers,
  widestInner,
} from "@lopper/core";
import type { Decoder, Stream, UnitOrder } from "@lopper/runtime";
import { type UnitKind, unitWidth } from "./activation_order.ts";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet } from "./calibration.ts";

/**
 * Ridges as shares of the mean diagonal: Týr's 0.01, as in the repair that may follow, and greater ones for moments of which
 * float32 keeps too few digits.
 */
const RIDGES = [0.01, 0.1, 1] as const;

/**
 * Bytes that `compensatedOrder` takes beside the weights: matrices for the widest block, and the streams of its text.
 * @param tokens of the text, at most.
 */
export function compensatedOrderBytes(spec: ModelSpec, tokens: number): number {
  const { hiddenSize } = spec;
  const widest = widestInner(spec);
  // H, its inverse, the products of weights, and what an engine holds of one of them; the projection, scaled, too; streams.
  return 4 * (4 * widest ** 2 + 2 * widest * hiddenSize + tokens * hiddenSize);
}

/**
 * An order of the decoder's units by what the output of their block loses for good without them: the reverse of the order in
 * which they go when, one after the other, the unit goes whose loss the best linear fit of the others leaves the least error
 * (`eliminate`). Inputs of each block are those of the model that `layers` says, with the weights that are there: what an
 * earlier block would lose is not made up for. Units of one kind move, and only those that `layers` keeps, as in
 * `activationOrder`.
 *
 * The text goes through the model once, block by block, so that the second moments of one block are in memory at a time.
 *
 * @param options.onProgress hears of the blocks done, with fractions, and of their number; may throw to stop.
 * @throws {CalibrationError} naming the block whose activations are not finite on this text.
 */
export async function compensatedOrder(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  kind: UnitKind,
  set: CalibrationSet,
  options: BatchOptions & { readonly onProgress?: (done: number, blocks: number) => void } = {},
): Promise<UnitOrder> {
  const { weights, spec } = decoder;
  const wanted = kind === "channels" ? "mlp" : "attention";
  // A single unit has nothing that it could come before or after.
  const blocks = layers.flatMap(({ attention, mlp }, layer) => {
    const units = kind === "channels" ? mlp?.intermediateSize : attention?.kvHeads;
    return (units ?? 0) > 1 ? [blockNumber(spec, { layer, kind: wanted })] : [];
  });
  const shape = shapeOfLayers(spec, layers);
  const ordered = new Map<number, readonly number[]>();
  const products = new Products(decoder.backend);
  try {
    const streams: Stream[] = [];
    for (const numbers of batchNumbers(set, options)) {
      streams.push(await decoder.embed(numbers.map((i) => set.sequences[i])));
    }
    const last = blocks.at(-1) ?? -1;
    for (let block = 0; block <= last; block++) {
      const report = (share: number) => options.onProgress?.(block + share, last + 1);
      report(0);
      const described = decoder.blocks[block];
      if (!blocks.includes(block)) {
        for (const [b, stream] of streams.entries()) {
          streams[b] = await decoder.runBlock(block, shape, stream);
        }
        continue;
      }
      const gram = await momentsOf(decoder, shape, block, streams, products);
      const { name } = outputProjection(described);
      const projection = weights.block(block, shape[block]!)
        .find((weight) => weight.name === name)!;
      const width = unitWidth(spec, layers[described.layer], kind);
      const columns = matrix(projection.rows, spec.hiddenSize, projection.data);
      ordered.set(
        described.layer,
        await placesOf(products, described, { gram, columns, width, onProgress: report }),
      );
    }
  } finally {
    await products.dispose();
  }
  return {
    layers: weights.order.layers.map((order, layer) => {
      const places = ordered.get(layer);
      const units = order[kind];
      if (!places || !units) return order;
      const moved = [...places.map((place) => units[place]), ...units.slice(places.length)];
      return { ...order, [kind]: moved };
    }),
  };
}

/**
 * The sum of aaᵀ over all tokens, its lower triangle, a being what enters a block's projection; moves the streams on past
 * the block.
 */
async function momentsOf(
  decoder: Decoder,
  shape: Shape,
  block: number,
  streams: Stream[],
  products: Products,
): Promise<Matrix> {
  const gram = new GramSum(products);
  for (const [b, input] of streams.entries()) {
    const { stream, inner } = await decoder.watchBlock(block, shape, input, "values");
    streams[b] = stream;
    const tokens = input.batch * input.length;
    await gram.add(matrix(tokens, inner.length / tokens, inner));
  }
  return gram.take();
}

interface Ordering {
  readonly gram: Matrix;
  readonly columns: Matrix;
  readonly width: number;
  /** Hears of the share that is done. */
  readonly onProgress: (share: number) => void;
}

/** Places of a block's units as they lie, the most important first. */
async function placesOf(
  products: Products,
  { layer, kind }: Block,
  { gram, columns, width, onProgress }: Ordering,
): Promise<readonly number[]> {
  const n = gram.rows;
  let trace = 0;
  for (let c = 0; c < n; c++) trace += gram.data[c * n + c];
  // Nothing enters the projection, and no order is better than another.
  if (trace === 0) return Array.from({ length: n / width }, (_, place) => place);
  for (const share of RIDGES) {
    const found = await eliminate(products, gram, columns, {
      lambda: share * trace / n,
      width,
      onProgress: (gone, units) => onProgress(gone / units),
    });
    if (found) return found.removed.toReversed();
  }
  throw new CalibrationError(
    `--order compensated fits what stays of a block to what goes, and the activations of the ${kind} block of layer ` +
      `${layer} allow no fit in float32 on this text; it needs other --calibration text, or --order energy`,
  );
}
