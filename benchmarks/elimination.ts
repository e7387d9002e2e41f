/**
 * Puts the channels of one MLP in order by what the others cannot make up for (`eliminate`), on
 * activations that are made up: every four channels have a part in common, and all differ in size.
 * Up to 2,048 channels the error that a cut of a half leaves is compared with least squares in
 * double precision, and with that of the order by energy. Then solves for the projection again with
 * the same moments, as a repair does for each λ, and sees how well that came out.
 *
 * Usage: deno run -A benchmarks/elimination.ts CHANNELS OUTPUTS TOKENS [PANEL]
 */
import { eliminate, GramSum, type Matrix, matrix, Products, RidgeFactor } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { energy } from "@lopper/importance";
import { Matrix as Dense } from "ml-matrix";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { leastError } from "@lopper/algebra/testing";
import { peakResidentBytes } from "./measure.ts";

/** Channels that have a part in common, and the size of what they have alone. */
const ALIKE = 4;
const ALONE = 0.5;
const BATCH = 2048;
/** Beyond it, least squares in double precision would take longer than all else. */
const MAX_CHECKED = 2048;

const [channels, outputs, tokens, panelRows] = Deno.args.map(Number);
const random = xoroshiro128plus(42);
/** Uniform, of variance 1. */
const draw = () => Math.sqrt(12) * (uniformFloat64(random) - 0.5);
const drawn = (rows: number, columns: number) =>
  matrix(rows, columns, new Float32Array(rows * columns).map(draw));

const { backend } = await openBackend("cpu", {});
const products = new Products(backend);
const { gram, gramSeconds } = await moments();
const weights = drawn(channels, outputs);
let trace = 0, total = 0;
for (let c = 0; c < channels; c++) trace += gram.data[c * channels + c];
const lambda = 0.01 * trace / channels;
const mapped = await products.product(gram, weights);
weights.data.forEach((w, i) => total += w * (mapped.data[i] + lambda * w));

const started = performance.now();
const found = await eliminate(products, gram, weights, {
  lambda,
  ...(panelRows > 0 && { panelRows }),
});
const seconds = (performance.now() - started) / 1000;
const peak = peakResidentBytes();
const { removed, increases } = found!;
const refit = await refitted();
const half = Math.floor(channels / 2);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
console.log(JSON.stringify({
  gramSeconds,
  seconds,
  peakResidentBytes: peak,
  /** Errors of all channels add up to the energy of the output; by how much they miss it. */
  sumOff: sum(increases) / total - 1,
  halfGone: sum(increases.slice(0, half)) / total,
  refit,
  ...(channels <= MAX_CHECKED && inDouble()),
}));
Deno.exit(0);

/** The mean of aaᵀ, whole, and the seconds that summing took. */
async function moments(): Promise<{ gram: Matrix; gramSeconds: number }> {
  const sizes = Float64Array.from({ length: channels }, () => Math.exp(draw() / 2));
  const groups = Math.ceil(channels / ALIKE);
  const sum = new GramSum(products);
  let gramSeconds = 0;
  for (let done = 0; done < tokens; done += BATCH) {
    const rows = drawn(BATCH, channels);
    for (let r = 0; r < BATCH; r++) {
      const common = Float64Array.from({ length: groups }, draw);
      for (let c = 0; c < channels; c++) {
        const i = r * channels + c;
        rows.data[i] = sizes[c] * (common[c % groups] + ALONE * rows.data[i]);
      }
    }
    const started = performance.now();
    await sum.add(rows);
    gramSeconds += (performance.now() - started) / 1000;
  }
  const { data } = sum.take();
  for (let r = 0; r < channels; r++) {
    for (let c = 0; c <= r; c++) {
      data[c * channels + r] = data[r * channels + c] /= tokens;
    }
  }
  return { gram: matrix(channels, channels, data), gramSeconds };
}

/** What one fit of all outputs takes, HW = C with H = gram + λI, and ‖HW − C‖ / ‖C‖. */
async function refitted() {
  const started = performance.now();
  const factor = (await RidgeFactor.of(products, gram, lambda))!;
  const factored = performance.now();
  const solution = await factor.solve(mapped);
  const solved = performance.now();
  const back = await products.product(gram, solution);
  let off = 0, size = 0;
  back.data.forEach((value, i) => {
    off += (value + lambda * solution.data[i] - mapped.data[i]) ** 2;
    size += mapped.data[i] ** 2;
  });
  return {
    factorSeconds: (factored - started) / 1000,
    solveSeconds: (solved - factored) / 1000,
    residual: Math.sqrt(off / size),
    peakResidentBytes: peakResidentBytes(),
  };
}

/** Shares of the output's energy that are lost with a half of the channels, by least squares. */
function inDouble() {
  const dense = (m: Matrix) => Dense.from1DArray(m.rows, m.columns, m.data);
  const ridged = dense(gram).add(Dense.eye(channels).mul(lambda));
  const lost = (gone: readonly number[]) => leastError(ridged, dense(weights), gone) / total;
  const squares = Float64Array.from({ length: channels }, (_, c) => gram.data[c * channels + c]);
  const scores = energy.worth({ meanSquares: squares, columns: weights.data });
  const byEnergy = squares.keys().toArray().sort((a, b) => scores[a] - scores[b]);
  return {
    halfGoneInDouble: lost(removed.slice(0, half)),
    halfGoneByEnergy: lost(byEnergy.slice(0, half)),
  };
}
