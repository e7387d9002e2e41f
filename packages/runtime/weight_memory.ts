import { type Architecture, blockId, indexOfPart } from "@lopper/core";
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
  /** Of `held` and as it is held there, what may stay in the file instead: weights of experts, */
  readonly experts: number;
  /** and the other weights of blocks. */
  readonly blocks: number;
  /** Of `blocks`, those of the largest. */
  readonly largestHeld: number;
  /**
   * The half-precision matrices of the largest block, in float32; of the experts of a mixture,
   * those of one.
   */
  readonly largestBlock: number;
  /** The LM head in float32; 0 when the checkpoint has it so. */
  readonly head: number;
}

/** What loading a model will take, from its tensors' shapes and dtypes alone. */
export function weightMemory(model: Model): WeightMemory {
  const expansions = expansionBytes(model);
  const held = model.weights.map(({ role, tensor }) => {
    const { half, float32 } = tensorBytes(tensor);
    // Rows of learned positions are added to others as they are read: never as halves.
    const bytes = role.part === "positions" ? float32 : half ?? float32;
    return bytes * (isReadTwice(model.architecture, role) ? 2 : 1);
  });
  const inBlocks = [...blockSizes(model, { stacked: false }).values()];
  const blocks = [...expansions].filter(([part]) => part !== HEAD).map(([, one]) => one);
  return {
    held: sumOf(held),
    experts: sumOf([...blockSizes(model, { stacked: true }).values()]),
    blocks: sumOf(inBlocks),
    largestHeld: Math.max(0, ...inBlocks),
    expanded: sumOf([...expansions.values()].map(({ bytes }) => bytes)),
    largestBlock: Math.max(0, ...blocks.map(({ used }) => used)),
    head: expansions.get(HEAD)!.bytes,
  };
}

function sumOf(bytes: readonly number[]): number {
  return bytes.reduce((sum, one) => sum + one, 0);
}

/** The part that the LM head is, beside the blocks. */
const HEAD = "lmHead";

/**
 * What is expanded together with a weight: its block, or the experts of its block, or the LM head.
 */
export function partOf(role: WeightRole, architecture: Architecture): string {
  if ("layer" in role) {
    const block = `${role.layer}.${role.part}`;
    return isStacked(architecture, role) ? expertsOf(block) : block;
  }
  return role.part === "embedding" && architecture.tiedEmbeddings ? HEAD : role.part;
}

/** The part that the experts of a block are. */
export function expertsOf(block: string): string {
  return `${block} experts`;
}

function isStacked({ blocks }: Architecture, role: WeightRole): boolean {
  if (!("layer" in role)) return false;
  const block = blocks[indexOfPart(blocks, blockId(role.layer, role.part))];
  return block?.weights.find(({ name }) => name === role.weight)?.stacked === true;
}

/** A part of a model whose half-precision matrices are expanded together. */
export interface ExpandedPart {
  /** Bytes of all of them in float32. */
  readonly bytes: number;
  /** Bytes of what is used at a time: of experts, one. */
  readonly used: number;
}

/**
 * The half-precision matrices of the LM head, of each block and of its experts, what is used most
 * coming first: every candidate runs the head and, where the blocks before its own are known, the
 * later blocks; and not every token every expert.
 */
export function expansionBytes(
  model: Model,
  wanted: (layer: number | null) => boolean = () => true,
): ReadonlyMap<string, ExpandedPart> {
  const bytesOf = (tensor: TensorInfo) => {
    const { float32, half } = tensorBytes(tensor);
    return half === null ? 0 : float32;
  };
  const head = wanted(null) ? bytesOf(outerWeight(model, "lmHead")) : 0;
  const found = new Map<string, ExpandedPart>([[HEAD, { bytes: head, used: head }]]);
  const experts = new Map<string, ExpandedPart>();
  for (const { role, tensor } of model.weights.toReversed()) {
    if (!("layer" in role) || !wanted(role.layer)) continue;
    const stacked = isStacked(model.architecture, role);
    const parts = stacked ? experts : found;
    const part = partOf(role, model.architecture);
    const { bytes, used } = parts.get(part) ?? { bytes: 0, used: 0 };
    const more = bytesOf(tensor);
    parts.set(part, {
      bytes: bytes + more,
      used: used + (stacked ? more / tensor.shape[0] : more),
    });
  }
  return new Map([...found, ...experts]);
}

/**
 * The blocks whose experts a budget of bytes has room for as the file has them, the last ones
 * first.
 */
export function heldExperts(model: Model, budget: number): ReadonlySet<string> {
  return keptWithin(blockSizes(model, { stacked: true }), budget, "expertBytes");
}

/** The blocks whose other weights a budget has room for, likewise. */
export function heldBlocks(model: Model, budget: number): ReadonlySet<string> {
  return keptWithin(blockSizes(model, { stacked: false }), budget, "blockBytes");
}

/** Bytes of the stacked or of the other weights of blocks, halves as they are; the last first. */
function blockSizes(
  { architecture, weights }: Model,
  { stacked }: { readonly stacked: boolean },
): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { role, tensor } of weights.toReversed()) {
    if (!("layer" in role) || isStacked(architecture, role) !== stacked) continue;
    const block = `${role.layer}.${role.part}`;
    const { half, float32 } = tensorBytes(tensor);
    const count = isReadTwice(architecture, role) ? 2 : 1;
    sizes.set(block, (sizes.get(block) ?? 0) + count * (half ?? float32));
  }
  return sizes;
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
  what = "expandedBytes",
): ReadonlySet<string> {
  if (!(budget >= 0)) {
    throw new RangeError(`${what} is ${budget}; it needs to be a number of bytes from 0 on`);
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

/** Whether the block behind that of a weight has it, too. */
function isReadTwice({ blocks }: Architecture, role: WeightRole): boolean {
  if (!("layer" in role)) return false;
  const next = blocks[indexOfPart(blocks, blockId(role.layer, role.part)) + 1];
  return next?.layer === role.layer &&
    next.weights.some(({ name, shared }) => shared && name === role.weight);
}
