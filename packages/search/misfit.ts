import { type Block, indexOfPart, type Shape, sizeOf } from "@lopper/core";
import { type CandidateKey, type Cut, cutsOf } from "./candidate_key.ts";

/** Why no candidate of that name can go from a shape; null where one can. */
export function misfit(
  blocks: readonly Block[],
  shape: Shape,
  key: CandidateKey,
): string | null {
  return firstFault(key, ({ part, dimension, left }) => {
    const at = indexOfPart(blocks, part);
    if (at < 0) return `the model has no block ${part}`;
    const size = shape[at];
    if (!size) return `block ${part} is gone already`;
    if (dimension === null) return null;
    const now = size[dimension];
    if (now === undefined) return `block ${part} has no ${dimension}`;
    return left > 0 && left < now
      ? null
      : `block ${part} has ${now} ${dimension} and cannot come down to ${left}`;
  });
}

/**
 * The same of a block or a part of one that comes back: it has to have more units than it has, and
 * no more than all.
 */
export function misfitBack(
  blocks: readonly Block[],
  shape: Shape,
  key: CandidateKey,
): string | null {
  return firstFault(key, ({ part, dimension, left }) => {
    const at = indexOfPart(blocks, part);
    if (at < 0) return `the model has no block ${part}`;
    if (dimension === null) return `block ${part} comes back, and it does not say with what`;
    const all = sizeOf(blocks[at])[dimension];
    if (all === undefined) return `block ${part} has no ${dimension}`;
    const now = shape[at]?.[dimension] ?? 0;
    return left > now && left <= all
      ? null
      : `block ${part} has ${now} of ${all} ${dimension} and cannot come back to ${left}`;
  });
}

function firstFault(key: CandidateKey, faultOf: (cut: Cut) => string | null): string | null {
  let cuts: readonly Cut[];
  try {
    cuts = cutsOf(key);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return error.message;
  }
  for (const cut of cuts) {
    const fault = faultOf(cut);
    if (fault) return fault;
  }
  return null;
}

/** The shape after a candidate of that name, which fits. */
export function shapeAfter(blocks: readonly Block[], shape: Shape, key: CandidateKey): Shape {
  const after = [...shape];
  for (const { part, dimension, left } of cutsOf(key)) {
    const at = indexOfPart(blocks, part);
    after[at] = dimension === null
      ? null
      : { ...(after[at] ?? sizeOf(blocks[at])), [dimension]: left };
  }
  return after;
}

/** Whether a recorded number is what it is computed to be anew: the same sums, up to rounding. */
export function agrees(recorded: number, computed: number): boolean {
  return Math.abs(recorded - computed) <= 1e-9 * Math.max(1, Math.abs(computed));
}
