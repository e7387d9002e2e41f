import { GramSum, type Matrix, matrix, Products, RidgeFactor } from "@lopper/algebra";
import {
  blockAt,
  type BlockRef,
  type FloatDType,
  type LayerSpec,
  mean,
  type ModelSpec,
  widestInner,
} from "@lopper/core";
import {
  batchNumbers,
  type CalibrationSet,
  DensePredictions,
  nextTokens,
  sequenceMeans,
  tokenLoss,
} from "@lopper/importance";
import { fromFloat32, toFloat32 } from "@lopper/model-io";
import { blockCount, type Decoder, forwardFrom, type Stream } from "@lopper/runtime";
import {
  type BlockRepair,
  type Cost,
  costBetween,
  type RepairLine,
  type RepairVerdict,
} from "@lopper/search";

/** Shares of the mean diagonal: Týr's 0.01 (λ = 0.01 · mean diag H), and what holds on more to the weights of before. */
export const LAMBDAS = [0.01, 0.1, 1] as const;

/** Tokens that are learnt from at most, whatever the model. */
export const REPAIR_TOKENS = 32_768;
/** A fit has an unknown for each input of a projection, in every row: of more tokens for each it has little. */
const TOKENS_PER_INPUT = 32;

/** Tokens that the orders and repairs of a model learn from at most: a narrow one needs fewer. */
export function repairTokens(spec: ModelSpec): number {
  return Math.min(REPAIR_TOKENS, TOKENS_PER_INPUT * widestInner(spec));
}

/**
 * Bytes that a repair takes beside the weights: matrices of its equations for the widest block, and the streams of its text
 * through both models.
 */
export function repairBytes(spec: ModelSpec): number {
  const { hiddenSize } = spec;
  const widest = widestInner(spec);
  // Gram matrix, the factor, and what is copied of either; right side, fits and what solving holds.
  return 4 * (3 * widest ** 2 + 8 * widest * hiddenSize + 3 * repairTokens(spec) * hiddenSize);
}

/**
 * About how many block-tokens' worth of work repairs are, for a model of which most blocks stay: each block runs in the dense
 * and in the pruned model and is watched, the equations of a fit take about as long again, and after every repair the blocks
 * behind it run on the text to choose on.
 */
export function repairWork({ layers }: ModelSpec, learn: number, choose: number): number {
  const blocks = blockCount(layers);
  return blocks * (4 * learn + 3 * choose) + choose * blocks ** 2 / 2;
}

export interface RepairOptions {
  /** Its weights are repaired in place; they begin as the checkpoint has them, kept units first. */
  readonly decoder: Decoder;
  /** What the plan leaves. */
  readonly layers: readonly LayerSpec[];
  readonly steps: number;
  /** Text that weights are fitted on, of `repairTokens` at most for `repairBytes` to hold. */
  readonly learn: CalibrationSet;
  /** Text that each repair is chosen on. */
  readonly choose: CalibrationSet;
  /** Text that chooses nothing, and decides whether all repairs together stay. */
  readonly verdict: CalibrationSet;
  readonly batchTokens: number;
  /** Each repair is judged by how far predictions are from the dense model's, as `divergedNll` has it, instead of by the NLL. */
  readonly againstDense: boolean;
  /** The dtype in which the checkpoint has the output projection of a block. */
  readonly dtypeOf: (ref: BlockRef) => FloatDType;
  /** Lines of an earlier run; they are believed. */
  readonly recorded: readonly RepairLine[];
  readonly measure: () => Cost;
  /** Hears of the blocks done and those to do; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What is new, or was recorded before. */
export interface RepairEvent {
  readonly line: RepairLine;
  readonly resumed: boolean;
}

export interface RepairResult {
  /** Blocks whose output projection changed; none where the verdict was against it. */
  readonly repaired: readonly BlockRef[];
  readonly tried: number;
  /** Repairs that helped one by one. */
  readonly helped: number;
  readonly verdict: RepairVerdict | null;
}

/** A text that repairs are judged on. */
interface JudgedText {
  readonly set: CalibrationSet;
  readonly batches: readonly (readonly number[])[];
  readonly predictions?: DensePredictions;
}

/** A text under way through both models, batch by batch. */
interface Course {
  readonly set: CalibrationSet;
  readonly batches: readonly (readonly number[])[];
  dense: Stream[];
  pruned: Stream[];
}

/** What a regression needs: the lower triangle of XᵀX `[channels, channels]`, and XᵀR `[channels, hiddenSize]`. */
interface Normal {
  readonly gram: Matrix;
  readonly cross: Matrix;
}

/**
 * Refits the output projection of every block that stays, one after the other, so that the pruned model's stream comes
 * nearer to the dense one's: W = W₀ + (Y − W₀X)Xᵀ(XXᵀ + λI)⁻¹, ridge regression that shrinks toward the weights that
 * are there. X is what enters the projection in the model that is repaired so far; Y is the dense stream less the
 * pruned one's at that place, so that a fit makes up for what is lost before it, too. Where removed blocks follow, it is the
 * dense stream behind them: ReplaceMe (arXiv 2505.02819) folds removed blocks into the projection before them so.
 *
 * λ is the one with the smallest error on the text to choose on, and a repair stays if the mean loss there falls. In the
 * end all of them stay if the mean NLL falls on text that chose nothing, or else none.
 */
export async function* repair(options: RepairOptions): AsyncGenerator<RepairEvent, RepairResult> {
  const { decoder, layers, steps, batchTokens, recorded, measure } = options;
  const dense = decoder.spec.layers;
  const count = blockCount(layers);
  const products = new Products(decoder.backend);
  const lines = recorded.filter((line) => line.steps === steps);
  const known = (ref: BlockRef) =>
    lines.find((line): line is BlockRepair =>
      line.type === "repair" && line.layer === ref.layer && line.kind === ref.kind
    );
  const judged = lines.find((line): line is RepairVerdict => line.type === "verdict");
  const batched = (set: CalibrationSet) => ({ set, batches: batchNumbers(set, { batchTokens }) });
  const course = async (set: CalibrationSet): Promise<Course> => {
    const text = batched(set);
    const streams = await embedded(decoder, text);
    return { ...text, dense: [...streams], pruned: [...streams] };
  };
  try {
    const verdictText = batched(options.verdict);
    const { set, batches } = batched(options.choose);
    const predictions = options.againstDense
      ? await new DensePredictions(decoder, set, batches).prepare()
      : undefined;
    const chooseText = { set, batches, predictions };
    const before = judged?.before ?? await lossOf(options, verdictText);
    const learn = await course(options.learn);
    const choose = await course(options.choose);
    const courses = [learn, choose];
    let loss: readonly number[] | null = null;
    const repaired: BlockRef[] = [];
    let tried = 0;
    let apart = false;
    for (let block = 0; block < count;) {
      options.onProgress?.(block, count);
      const started = measure();
      const ref = blockAt(block);
      const stays = layers[ref.layer][ref.kind] !== null;
      let next = block + 1;
      if (stays) { while (next < count && isGone(layers, next)) next += 1; }
      const folded = Array.from({ length: next - block - 1 }, (_, i) => block + 1 + i)
        .filter((at) => !isGone(dense, at)).length;
      const same = JSON.stringify(dense[ref.layer][ref.kind]) ===
        JSON.stringify(layers[ref.layer][ref.kind]);
      // Whole, and nothing around it is gone: there is nothing to repair.
      apart ||= !same || folded > 0;
      for (const each of courses) {
        each.dense = await advance(decoder, dense, block, next, each.dense);
      }
      if (stays && apart) {
        const line = known(ref);
        if (line) {
          yield { line, resumed: true };
          if (line.kept) {
            const normal = await normalOf(options, products, block, learn);
            const fitted = await fit(options, products, ref, normal, line.lambda);
            decoder.weights.replaceRows(ref, layers[ref.layer], projection(ref), fitted!.rows);
            repaired.push(ref);
          }
          tried += 1;
          loss = line.kept ? line.after : line.before;
        } else if (!judged) {
          const found = await bestRepair(options, products, block, learn, choose);
          if (found) {
            loss ??= await lossFrom(options, block, choose.pruned, chooseText);
            const { lambda, rows } = found;
            const old = decoder.weights.replaceRows(
              ref,
              layers[ref.layer],
              projection(ref),
              rows,
            );
            const after = await lossFrom(options, block, choose.pruned, chooseText);
            const kept = mean(after) < mean(loss);
            if (kept) repaired.push(ref);
            else decoder.weights.replaceRows(ref, layers[ref.layer], projection(ref), old);
            tried += 1;
            const line: BlockRepair = {
              type: "repair",
              steps,
              ...ref,
              folded,
              lambda,
              before: loss,
              after,
              kept,
              cost: costBetween(started, measure()),
            };
            yield { line, resumed: false };
            if (kept) loss = after;
          }
        }
      }
      for (const each of courses) {
        each.pruned = await advance(decoder, layers, block, block + 1, each.pruned);
      }
      block = next;
    }
    if (repaired.length === 0) return { repaired, tried, helped: 0, verdict: null };
    const started = measure();
    const after = judged?.after ?? await lossOf(options, verdictText);
    const verdict: RepairVerdict = judged ?? {
      type: "verdict",
      steps,
      before,
      after,
      kept: mean(after) < mean(before),
      cost: costBetween(started, measure()),
    };
    yield { line: verdict, resumed: judged !== undefined };
    return { repaired: verdict.kept ? repaired : [], tried, helped: repaired.length, verdict };
  } finally {
    await products.dispose();
  }
}

/** The name of a block's output projection. */
export function projection({ kind }: BlockRef): "down" | "o" {
  return kind === "mlp" ? "down" : "o";
}

function isGone(layers: readonly LayerSpec[], block: number): boolean {
  const { layer, kind } = blockAt(block);
  return layers[layer][kind] === null;
}

async function advance(
  decoder: Decoder,
  layers: readonly LayerSpec[],
  first: number,
  end: number,
  streams: readonly Stream[],
): Promise<Stream[]> {
  const moved: Stream[] = [];
  for (let stream of streams) {
    for (let block = first; block < end; block++) {
      stream = await decoder.runBlock(block, layers, stream);
    }
    moved.push(stream);
  }
  return moved;
}

/** What enters the first block, batch by batch. */
async function embedded(
  decoder: Decoder,
  { set, batches }: Pick<Course, "set" | "batches">,
): Promise<Stream[]> {
  const streams: Stream[] = [];
  for (const numbers of batches) {
    streams.push(await decoder.embed(numbers.map((i) => set.sequences[i])));
  }
  return streams;
}

/** Mean loss of each sequence of a text under what the plan leaves. */
async function lossOf(options: RepairOptions, text: JudgedText): Promise<readonly number[]> {
  return await lossFrom(options, 0, await embedded(options.decoder, text), text);
}

/** The same from the streams that enter a block on. */
async function lossFrom(
  { decoder, layers }: RepairOptions,
  block: number,
  streams: readonly Stream[],
  { set, batches, predictions }: JudgedText,
): Promise<readonly number[]> {
  const means: number[] = [];
  for (const [b, numbers] of batches.entries()) {
    const sequences = numbers.map((i) => set.sequences[i]);
    const stream = await forwardFrom(decoder, layers, block, streams[b]);
    const loss = await tokenLoss(
      decoder,
      stream,
      nextTokens(sequences),
      await predictions?.of(b),
    );
    means.push(...sequenceMeans(loss, sequences, set.ignoredLabel));
  }
  return means;
}

/** What enters a block's projection, and what its output lacks of the dense stream, for one batch. */
async function residuals(
  { decoder, layers }: RepairOptions,
  block: number,
  { pruned, dense }: Course,
  batch: number,
): Promise<{ inner: Matrix; missing: Matrix }> {
  const input = pruned[batch];
  const tokens = input.batch * input.length;
  const { stream, inner } = await decoder.watchBlock(block, layers, input, "values");
  const missing = difference(dense[batch].data, stream.data);
  return {
    inner: matrix(tokens, inner.length / tokens, inner),
    missing: matrix(tokens, missing.length / tokens, missing),
  };
}

async function normalOf(
  options: RepairOptions,
  products: Products,
  block: number,
  course: Course,
): Promise<Normal> {
  const gram = new GramSum(products);
  let cross: Matrix | undefined;
  for (let b = 0; b < course.batches.length; b++) {
    const { inner, missing } = await residuals(options, block, course, b);
    await gram.add(inner);
    cross = await products.product(inner, missing, { transA: true, add: cross });
  }
  return { gram: gram.take(), cross: cross! };
}

interface Fit {
  readonly lambda: number;
  /** The projection as it would be, `[channels, hiddenSize]`, rounded to the checkpoint's dtype. */
  readonly rows: Float32Array;
  /** What is added to the projection. */
  readonly change: Matrix;
}

/** Null where the equations have no solution that the dtype can hold. */
async function fit(
  { decoder, layers, dtypeOf }: RepairOptions,
  products: Products,
  ref: BlockRef,
  { gram, cross }: Normal,
  lambda: number,
): Promise<Fit | null> {
  let trace = 0;
  for (let i = 0; i < gram.rows; i++) trace += gram.data[i * gram.rows + i];
  const factor = await RidgeFactor.of(products, gram, lambda * trace / gram.rows);
  if (!factor) return null;
  const change = await factor.solve(cross);
  const before = decoder.weights.block(ref, layers[ref.layer])
    .find(({ name }) => name === projection(ref))!.data;
  const dtype = dtypeOf(ref);
  const rows = toFloat32(dtype, fromFloat32(dtype, before.map((w, i) => w + change.data[i])));
  return rows.every((value) => Number.isFinite(value)) ? { lambda, rows, change } : null;
}

/** The fit with the smallest error on the text to choose on; null where none is smaller than without. */
async function bestRepair(
  options: RepairOptions,
  products: Products,
  block: number,
  learn: Course,
  choose: Course,
): Promise<Fit | null> {
  const normal = await normalOf(options, products, block, learn);
  const fits: Fit[] = [];
  for (const lambda of LAMBDAS) {
    const found = await fit(options, products, blockAt(block), normal, lambda);
    if (found) fits.push(found);
  }
  let without = 0;
  const errors = fits.map(() => 0);
  for (let b = 0; b < choose.batches.length; b++) {
    const { inner, missing } = await residuals(options, block, choose, b);
    without += squares(missing.data);
    for (const [i, { change }] of fits.entries()) {
      const added = await products.product(inner, change);
      errors[i] += squares(difference(missing.data, added.data));
    }
  }
  const least = Math.min(...errors);
  return least < without ? fits[errors.indexOf(least)] : null;
}

/** A loop: `map` with a function takes several times as long, and streams are long. */
function difference(a: Float32Array, b: Float32Array): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = a[i] - b[i];
  return result;
}

function squares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
