import type { Architecture } from "@lopper/core";
import type { TensorInfo } from "@lopper/formats";
import { type Model, outerWeight, type WeightRole } from "@lopper/models";
import { tensorBytes } from "./stored_tensor.ts";

/**
 * Memory that the weights of a model take, in bytes. What is held in float32 replaces its halves:
 * with a budget of B bytes loading holds at most `held + B / 2`, and where B is below `expanded`, a
 * shared buffer of at most the larger of `largestBlock` and `head` comes on top.
 */
export interface WeightMemory {
  /**
   * What is held with a budget of 0: half-precision matrices as they are, everything else in
   * float32.
   */
  readonly held: number;
  /**
   * All half-precision matrices that graphs read, in float32: with this budget none is expanded for
   * every use.
   */
  readonly expanded: number;
  /** The half-precision matrices of the largest block, in float32. */
  readonly largestBlock: number;
  /** The LM head in float32; 0 when the checkpoint has it so. */
  readonly head: number;
}

/** What loading a model will take, from its tensors' shapes and dtypes alone. */
export function weightMemory(model: Model): WeightMemory {
  const { [HEAD]: head, ...blocks } = Object.fromEntries(expansionBytes(model));
  const sizes = Object.values(blocks);
  return {
    held: model.weights.reduce((sum, { tensor }) => {
      const { half, float32 } = tensorBytes(tensor);
      return sum + (half ?? float32);
    }, 0),
    expanded: sizes.reduce((sum, bytes) => sum + bytes, head),
    largestBlock: Math.max(0, ...sizes),
    head,
  };
}

/** The part that the LM head is, beside the blocks. */
const HEAD = "lmHead";

/** What is expanded together with a weight: its block, or the LM head. */
export function partOf(role: WeightRole, { tiedEmbeddings }: Architecture): string {
  if ("layer" in role) return `${role.layer}.${role.part}`;
  return role.part === "embedding" && tiedEmbeddings ? HEAD : role.part;
}

/**
 * Bytes of the half-precision matrices of the LM head and of each block in float32, what is used
 * most coming first: every candidate runs the head and, where the blocks before its own are known,
 * the later blocks.
 */
export function expansionBytes(
  model: Model,
  wanted: (layer: number | null) => boolean = () => true,
): ReadonlyMap<string, number> {
  const bytesOf = (tensor: TensorInfo) => {
    const { float32, half } = tensorBytes(tensor);
    return half === null ? 0 : float32;
  };
  const found = new Map([[HEAD, wanted(null) ? bytesOf(outerWeight(model, "lmHead")) : 0]]);
  for (const { role, tensor } of model.weights.toReversed()) {
    if (!("layer" in role) || !wanted(role.layer)) continue;
    const part = partOf(role, model.architecture);
    found.set(part, (found.get(part) ?? 0) + bytesOf(tensor));
  }
  return found;
}

/**
 * The parts that a budget of bytes has room for, the first that fit, for good. A forward pass goes
 * through the blocks in a circle, and whatever evicts there (the least recently used, say) evicts
 * what is needed next.
 * @throws {RangeError} when the budget is no size.
 */
export function keptWithin(
  sizes: ReadonlyMap<string, number>,
  budget: number,
): ReadonlySet<string> {
  if (!(budget >= 0)) {
    throw new RangeError(`expandedBytes is ${budget}; it needs to be a number of bytes from 0 on`);
  }
  const kept = new Set<string>();
  let left = budget;
  for (const [part, bytes] of sizes) {
    if (bytes > left) continue;
    left -= bytes;
    kept.add(part);
  }
  return kept;
}
