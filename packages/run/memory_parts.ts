import type { BackendDescription } from "@lopper/backends";
import {
  type Architecture,
  formatBytes,
  InsufficientMemoryError,
  parametersOfBlock,
  resizedBlocks,
  sizeOf,
} from "@lopper/core";
import { activationBytes, sharedEngineBytes, type WeightMemory } from "@lopper/runtime";

/** What the process, the engine and its compiled graphs take before there is a model. */
const PROCESS_BYTES = 250e6;

/** What takes memory, and how many bytes. */
export type MemoryPart = readonly [what: string, bytes: number];

/** A model and what runs it. */
export interface MemoryOf {
  readonly architecture: Architecture;
  readonly weights: WeightMemory;
  readonly backend: BackendDescription;
}

/** Where the blocks' weights are, those of experts not counted. */
export type BlocksIn = "memory" | "file";

/**
 * The first plan that fits.
 * @throws {InsufficientMemoryError} of the last, when none does.
 */
export function firstFitting<W, T>(ways: readonly W[], plan: (way: W) => T): T {
  const [way, ...others] = ways;
  if (others.length === 0) return plan(way);
  try {
    return plan(way);
  } catch (error) {
    if (!(error instanceof InsufficientMemoryError)) throw error;
    return firstFitting(others, plan);
  }
}

/** Tokens that run through a model together, in sequences of `length` each. */
interface TokensOfRun {
  readonly tokens: number;
  readonly length: number;
}

/**
 * What must be there for tokens to run through a model.
 * @param through all of it, or only its blocks.
 */
export function partsOfRun(
  { architecture, weights, backend }: MemoryOf,
  blocks: BlocksIn,
  run: TokensOfRun,
  through: "all" | "blocks" = "all",
): readonly MemoryPart[] {
  const inMemory = weights.held - weights.experts;
  return [
    ["the process and its engine", PROCESS_BYTES],
    ...backend.engines === 1 ? [] : [sharedEngines(architecture, backend)],
    ...blocks === "memory" ? [["the weights as they are in the checkpoint", inMemory] as const] : [
      ["the embedding and the LM head", inMemory - weights.blocks] as const,
      ["a block as it is read", BLOCKS_AT_A_TIME * weights.largestHeld] as const,
    ],
    ...weights.experts === 0 ? [] : [readExperts(architecture)],
    through === "blocks"
      ? ["one block in float32", weights.largestBlock]
      : ["one block or the head in float32", Math.max(weights.largestBlock, weights.head)],
    [
      `activations of ${run.tokens} tokens`,
      engineCopies(backend) * activationBytes(architecture, backend, run),
    ],
  ];
}

function sharedEngines(architecture: Architecture, backend: BackendDescription): MemoryPart {
  const bytes = sharedEngineBytes(architecture, backend);
  return [`${backend.engines} engines that share the work (--threads)`, bytes];
}

export function sumOf(parts: readonly MemoryPart[]): number {
  return parts.reduce((sum, [, bytes]) => sum + bytes, 0);
}

export function tooLittle(
  what: string,
  parts: readonly MemoryPart[],
  budget: number,
  otherwise: string,
): InsufficientMemoryError {
  const least = sumOf(parts);
  const list = parts.map(([what, bytes]) => `${what} ${formatBytes(bytes)}`).join(", ");
  return new InsufficientMemoryError(
    `${what} needs ${formatBytes(least)} of memory at least (${list}) and may take ${
      formatBytes(budget)
    }; give it more with --memory, or ${otherwise}`,
    least,
    budget,
  );
}

/** A block's weights as they are read, as they are laid out, and one not yet given back. */
const BLOCKS_AT_A_TIME = 3;

/** Experts that were read from the file, used, and not yet given back. */
const EXPERTS_AT_A_TIME = 32;

/** What experts take that stay in the file while tokens are with them. */
function readExperts({ blocks }: Architecture): MemoryPart {
  const largest = blocks.filter(({ routing }) => routing).map((block) => {
    const stacked = block.weights.filter((weight) => weight.stacked);
    const one = resizedBlocks([block], [{ ...sizeOf(block), experts: 1 }])[0];
    return parametersOfBlock({ ...one, weights: stacked }, sizeOf(one), { norms: true });
  });
  return ["experts that are read", EXPERTS_AT_A_TIME * 2 * Math.max(0, ...largest)];
}

/** An engine with a memory of its own holds copies of what it is fed. */
export function engineCopies({ memoryLimitBytes }: BackendDescription): number {
  return memoryLimitBytes === null ? 1 : 1.5;
}
