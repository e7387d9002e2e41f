import type { BackendDescription } from "@lopper/backends";
import {
  type Block,
  formatBytes,
  hasOutputProjection,
  InsufficientMemoryError,
  outputProjection,
  parametersOfBlock,
  sizeOf,
} from "@lopper/core";
import { keptBytes, PREDICTION_BYTES, rankByMomentsBytes } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { refitBytes, refitTokens, type RefitWay } from "@lopper/recovery";
import { activationBytes, type WeightMemory, weightMemory } from "@lopper/runtime";
import {
  type BlocksIn,
  engineCopies,
  type MemoryOf,
  type MemoryPart,
  partsOfRun,
  sumOf,
  tooLittle,
  withBlocks,
} from "./memory_parts.ts";

/** Block inputs of the base plan, of the favoured candidate and of the one being scored. */
const COPIES = 3;

/** Bytes that weights may take, as `LaidOutWeights` is loaded with them. */
export interface WeightRoom {
  /** For weights that are half precision in the checkpoint and float32 in memory. */
  readonly expandedBytes: number;
  /** For experts as the file has them; others are read whenever tokens go to them. */
  readonly expertBytes: number;
  /** For other weights of blocks as the file has them; others are read whenever a block runs. */
  readonly blockBytes: number;
}

/** How a run shares out its memory. */
export interface MemoryPlan extends WeightRoom {
  /** Tokens that run through a block together. */
  readonly batchTokens: number;
  /** Bytes for kept block inputs of one scorer. */
  readonly cacheBytes: number;
  /** Bytes of weights that stay in the file. */
  readonly inFileBytes: number;
}

export interface MemoryNeeds extends MemoryOf {
  /** Tokens of a sequence. */
  readonly length: number;
  /** Tokens of the larger set of samples. */
  readonly tokens: number;
  /** Tokens that a batch may have at most. */
  readonly batchTokens: number;
  /** Whether batches need to have so many, since decisions were made with them. */
  readonly fixed: boolean;
  /** How what stays is refitted at the end; null or left out where it is not. */
  readonly recovers?: RefitWay | null;
  /** What else is there while candidates are scored. */
  readonly alongside?: readonly MemoryPart[];
  /** Whether units are ranked by the second moments of activations. */
  readonly ranksByMoments?: boolean;
}

/**
 * Shares out a budget of bytes. What must be there comes first: the weights as they are, one block
 * in float32, the engine's own tensors, and the block inputs of one batch. What is left goes to
 * weights in float32 and to block inputs that save running the base plan again. Where weights leave
 * no room for that, blocks stay in the file, and those that the rest has room for in memory.
 * @throws {InsufficientMemoryError} with the figures, when the least does not fit.
 */
export function planMemory(needs: MemoryNeeds, budget: number): MemoryPlan {
  checkEngine(needs);
  return withBlocks((blocks) => planOf(needs, blocks, budget));
}

function planOf(needs: MemoryNeeds, blocks: BlocksIn, budget: number): MemoryPlan {
  const { architecture, weights, length } = needs;
  const most = Math.max(1, Math.floor(needs.batchTokens / length)) * length;
  for (
    let batchTokens = most;;
    batchTokens = Math.max(length, Math.floor(batchTokens / 2 / length) * length)
  ) {
    const inputs = keptBytes(architecture, length, batchTokens);
    const parts: readonly MemoryPart[] = [
      ...partsOfRun(needs, blocks, { tokens: batchTokens, length }),
      ...needs.alongside ?? [],
      [`the inputs of all blocks for ${batchTokens} tokens`, inputs],
    ];
    const least = sumOf(parts);
    if (least > budget) {
      if (batchTokens > length && !needs.fixed) continue;
      throw tooLittle("this run", parts, budget, "shorter sequences with --seq-len");
    }
    // What comes when the inputs of all blocks were let go.
    let room = budget;
    const apart = (what: string, part: MemoryPart, otherwise: string) => {
      const least = [...parts.slice(0, -1), part];
      if (sumOf(least) > budget) throw tooLittle(what, least, budget, otherwise);
      room = Math.min(room, budget - sumOf(least));
    };
    if (needs.ranksByMoments) {
      const bytes = rankByMomentsBytes(architecture, refitTokens(architecture));
      apart("the ranking", ["its equations and hidden states", bytes], "--ranking energy");
    }
    if (needs.recovers) {
      const bytes = refitBytes(architecture, batchTokens, needs.recovers) +
        (blocks === "file" ? outputBytes(needs) : 0);
      apart(
        "recovery",
        ["the equations, projections and hidden states of recovery", bytes],
        needs.recovers === "both" ? "--recover auto or none" : "--recover none",
      );
    }
    // What is not there is read again and again, so it comes first.
    const { taken, ...held } = heldBytes(weights, blocks, Math.min(budget - least, room));
    room -= taken;
    const left = budget - least - taken;
    // Room for candidates' block inputs saves more than weights that need no expanding, and both
    // more than a second batch.
    const batches = Math.ceil(needs.tokens / batchTokens);
    const oneBatch = Math.min(left, (COPIES - 1) * inputs);
    // Weights in float32 take the place of their halves.
    const expandedBytes = Math.min(weights.expanded, 2 * Math.min(left - oneBatch, room));
    const rest = left - oneBatch - expandedBytes / 2;
    const cacheBytes = inputs + oneBatch + Math.min(rest, (batches - 1) * COPIES * inputs);
    const inFileBytes = weights.blocks - held.blockBytes + weights.experts - held.expertBytes;
    return { batchTokens, cacheBytes, inFileBytes, expandedBytes, ...held };
  }
}

/** What of the file finds place in `room` bytes, and how many of them that takes. */
function heldBytes(
  { blocks: all, experts }: WeightMemory,
  blocks: BlocksIn,
  room: number,
): Pick<WeightRoom, "blockBytes" | "expertBytes"> & { readonly taken: number } {
  // Blocks in memory have their room already.
  const ofBlocks = blocks === "file" ? Math.min(all, room) : 0;
  const expertBytes = Math.min(experts, room - ofBlocks);
  const blockBytes = blocks === "file" ? ofBlocks : all;
  return { blockBytes, expertBytes, taken: ofBlocks + expertBytes };
}

/** What the dense model says of both sets of samples. @param tokens of the larger one. */
export function predictionsOf(tokens: number): MemoryPart {
  return ["the dense model's predictions", 2 * tokens * PREDICTION_BYTES];
}

/**
 * The room that weights have in an evaluation with a budget for all; `beside` is what else needs to
 * be in memory.
 * @throws {InsufficientMemoryError} with the figures, when the least does not fit.
 */
export function weightRoom(
  model: Model,
  backend: BackendDescription,
  run: {
    readonly tokens: number;
    readonly length: number;
    readonly beside?: readonly MemoryPart[];
  },
  budget: number,
): WeightRoom {
  const weights = weightMemory(model);
  const needs = { architecture: model.architecture, weights, backend };
  return withBlocks((blocks) => {
    const parts = [...partsOfRun(needs, blocks, run), ...run.beside ?? []];
    const least = sumOf(parts);
    if (least > budget) {
      throw tooLittle("this evaluation", parts, budget, "shorter windows with --seq-len");
    }
    const { taken, ...held } = heldBytes(weights, blocks, budget - least);
    // Weights in float32 take the place of their halves.
    return { ...held, expandedBytes: Math.min(weights.expanded, 2 * (budget - least - taken)) };
  });
}

/** Output projections that are refitted stay in memory, and all may be. */
function outputBytes({ architecture, weights }: MemoryNeeds): number {
  const parameters = (weights: Block["weights"], block: Block) =>
    parametersOfBlock({ ...block, weights }, sizeOf(block), { norms: true });
  const fitted = architecture.blocks.filter(hasOutputProjection);
  const all = fitted.reduce((sum, block) => sum + parameters(block.weights, block), 0);
  const outputs = fitted.reduce(
    (sum, block) => sum + parameters([outputProjection(block)], block),
    0,
  );
  return all === 0 ? 0 : weights.blocks * outputs / all;
}

/**
 * @throws {InsufficientMemoryError} when the largest single run does not fit into the engine's own
 *   memory.
 */
function checkEngine({ architecture, weights, length, backend }: MemoryNeeds) {
  const { memoryLimitBytes, name } = backend;
  if (memoryLimitBytes === null) return;
  const head = architecture.vocabSize * architecture.hiddenSize * 4;
  const needed = Math.max(weights.largestBlock, head) +
    engineCopies(backend) * activationBytes(architecture, backend, { tokens: length, length });
  if (needed <= memoryLimitBytes) return;
  throw new InsufficientMemoryError(
    `backend ${name} can hold ${
      formatBytes(memoryLimitBytes)
    } and one sequence of ${length} tokens needs ${
      formatBytes(needed)
    } there; choose a smaller --seq-len or another --backend`,
    needed,
    memoryLimitBytes,
  );
}
