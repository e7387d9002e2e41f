import { denseShape, LopperError, type Shape } from "@lopper/core";
import {
  type BatchActivations,
  batchNumbers,
  type SeenActivations,
  summedActivations,
} from "@lopper/importance";
import type { SharedText } from "./shared_scorer.ts";
import { sizesBetween } from "./sizes.ts";
import type { Work } from "./work.ts";
import type { Answer } from "./work_schema.ts";

type Packed = NonNullable<Extract<Answer, { readonly values: unknown }>["activations"]>;

/** Significant digits that tell any two float32 values apart (IEEE 754-2019, 5.12.2). */
const FLOAT32_DIGITS = 9;

/**
 * One pass over a text by workers, `seenActivations` of a model of which this is left: batches go
 * to whoever has them, and what they add is summed here in their order.
 */
export async function sharedActivations(
  work: Work,
  { name, set, architecture, ranking }: SharedText,
  shape: Shape,
  onProgress: (tokensDone: number) => void,
): Promise<SeenActivations> {
  const base = sizesBetween(denseShape(architecture.blocks), shape);
  const asked = batchNumbers(set, set).map((_, batch) =>
    work.ask({ task: "activations", set: name, batch, base, candidates: [] }, ranking())
  );
  // Whoever waits for one of them hears of its failure.
  for (const answer of asked) answer.catch(() => {});
  return await summedActivations(set, { ...set, onProgress }, async (batch) => {
    const { activations } = await asked[batch];
    if (!activations) throw new LopperError("a worker answered without activations");
    return unpacked(activations);
  });
}

/** As an answer has it. */
export function packed({ energy, experts }: BatchActivations): Packed {
  return {
    energy: Array.from(energy, ([block, sums]) => [
      block,
      Array.from(sums, (value) => Number(value.toPrecision(FLOAT32_DIGITS))),
    ]),
    experts: Array.from(experts, ([block, { tokens, squares, weighted, energy }]) => [
      block,
      {
        ...{ tokens: [...tokens], squares: [...squares], weighted: [...weighted] },
        ...(energy && { energy: [...energy] }),
      },
    ]),
  };
}

/** As `packed` had it, to the last bit. */
export function unpacked({ energy, experts }: Packed): BatchActivations {
  return {
    energy: new Map(energy.map(([block, sums]) => [block, Float32Array.from(sums)])),
    experts: new Map(experts.map(([block, { tokens, squares, weighted, energy }]) => [block, {
      tokens: Float64Array.from(tokens),
      squares: Float64Array.from(squares),
      weighted: Float64Array.from(weighted),
      ...(energy && { energy: Float64Array.from(energy) }),
    }])),
  };
}
