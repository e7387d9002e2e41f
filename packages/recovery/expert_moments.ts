import { matrix } from "@lopper/algebra";
import type { Shape } from "@lopper/core";
import type { Decoder, RoutedOutput } from "@lopper/runtime";
import { difference, type Moments, scaled } from "./moments.ts";
import type { PassPair } from "./pass.ts";

/**
 * The second moments of what the experts of a mixture add, v_e being g_e · f_e(x) at every channel
 * of every token: `gram` has the products of two experts, `cross` those with what the block's
 * output lacks.
 */
export interface ExpertMoments extends Moments {
  /** Σ ‖R‖², R being what the output lacks for the dense hidden states. */
  readonly missing: number;
}

/**
 * The moments of the mixture before the pruned text. The dense text stands where the output of the
 * block is to be. Sums are in double precision.
 */
export async function expertMoments(
  decoder: Decoder,
  shape: Shape,
  { dense, pruned }: PassPair,
): Promise<ExpertMoments> {
  const { dimensions: [{ name }], multiplier = 1 } = decoder.blocks[pruned.block];
  const { hiddenSize } = decoder.architecture;
  const experts = shape[pruned.block]![name];
  const gram = new Float64Array(experts * experts), cross = new Float64Array(experts);
  let missing = 0;
  for (let b = 0; b < pruned.states.length; b++) {
    const input = await pruned.states.read(b);
    const outputs: RoutedOutput[] = [];
    const run = await decoder.captureExperts(
      pruned.block,
      shape,
      input,
      { onRouted: (output) => outputs.push(output) },
    );
    const lacking = scaled(
      difference((await dense.states.read(b)).data, run.hidden.data),
      1 / multiplier,
    );
    missing += dot(lacking, lacking);
    for (const added of byToken(outputs, hiddenSize)) {
      for (const [i, { place, row, vector }] of added.entries()) {
        const start = row * hiddenSize;
        cross[place] += dot(vector, lacking.subarray(start, start + hiddenSize));
        for (const other of added.slice(0, i + 1)) {
          const product = dot(vector, other.vector);
          gram[place * experts + other.place] += product;
          if (other.place !== place) gram[other.place * experts + place] += product;
        }
      }
    }
  }
  return {
    gram: matrix(experts, experts, Float32Array.from(gram)),
    cross: matrix(experts, 1, Float32Array.from(cross)),
    missing,
  };
}

/** The squared error that is left where each expert is multiplied with 1 and its change. */
export function errorOf({ gram, cross, missing }: ExpertMoments, changes: Float32Array): number {
  const experts = changes.length;
  return changes.reduce((error, change, i) => {
    const others = dot(gram.data.subarray(i * experts, (i + 1) * experts), changes);
    return error + change * (others - 2 * cross.data[i]);
  }, missing);
}

interface Added {
  readonly place: number;
  readonly row: number;
  readonly vector: Float32Array;
}

/** What is added to each token that went to some expert. */
function byToken(outputs: readonly RoutedOutput[], width: number): Iterable<readonly Added[]> {
  const tokens = new Map<number, Added[]>();
  for (const { place, rows, values } of outputs) {
    for (const [i, row] of rows.entries()) {
      const vector = values.subarray(i * width, (i + 1) * width);
      const added = tokens.get(row);
      if (added) added.push({ place, row, vector });
      else tokens.set(row, [{ place, row, vector }]);
    }
  }
  return tokens.values();
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
