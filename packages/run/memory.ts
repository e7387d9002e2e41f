import type { BackendDescription } from "@lopper/backends";
import {
  type Architecture,
  formatBytes,
  InsufficientMemoryError,
  parametersOfBlock,
  resizedBlocks,
  sizeOf,
} from "@lopper/core";
import { keptBytes, PREDICTION_BYTES, rankByMomentsBytes } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { refitBytes, refitTokens, type RefitWay } from "@lopper/recovery";
import {
  activationBytes,
  sharedEngineBytes,
  type WeightMemory,
  weightMemory,
} from "@lopper/runtime";

/** What the process, the engine and its compiled graphs take before there is a model. */
const PROCESS_BYTES = 250e6;
/** Block inputs of the base plan, of the favoured candidate and of the one being scored. */
const COPIES = 3;

/** Bytes that weights may take, as `LaidOutWeights` is loaded with them. */
export interface WeightRoom {
  /** For weights that are half precision in the checkpoint and float32 in memory. */
  readonly expandedBytes: number;
  /** For experts as the file has them; others are read whenever tokens go to them. */
  readonly expertBytes: number;
}

/** How a run shares out its memory. */
export interface MemoryPlan extends WeightRoom {
  /** Tokens that run through a block together. */
  readonly batchTokens: number;
  /** Bytes for kept block inputs of one scorer. */
  readonly cacheBytes: number;
}

export interface MemoryNeeds {
  readonly architecture: Architecture;
  readonly weights: WeightMemory;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Tokens of the larger set of samples. */
  readonly tokens: number;
  /** Tokens that a batch may have at most. */
  readonly batchTokens: number;
  /** Whether batches need to have so many, since decisions were made with them. */
  readonly fixed: boolean;
  readonly backend: BackendDescription;
  /** How what stays is refitted at the end; null or left out where it is not. */
  readonly recovers?: RefitWay | null;
  /** Whether candidates are scored against what the dense model says of the samples. */
  readonly predicts?: boolean;
  /** Whether units are ranked by the second moments of activations. */
  readonly ranksByMoments?: boolean;
}

/**
 * Shares out a budget of bytes. What must be there comes first: the weights as they are, one block
 * in float32, the engine's own tensors, and the block inputs of one batch. What is left goes to
 * weights in float32 and to block inputs that save running the base plan again.
 * @throws {InsufficientMemoryError} with the figures, when the least does not fit.
 */
export function planMemory(needs: MemoryNeeds, budget: number): MemoryPlan {
  const { architecture, weights, length, backend } = needs;
  checkEngine(needs);
  const most = Math.max(1, Math.floor(needs.batchTokens / length)) * length;
  for (
    let batchTokens = most;;
    batchTokens = Math.max(length, Math.floor(batchTokens / 2 / length) * length)
  ) {
    const inputs = keptBytes(architecture, length, batchTokens);
    const parts: readonly MemoryPart[] = [
      ...partsOfRun(architecture, weights, backend, { tokens: batchTokens, length }),
      ...(needs.predicts ? [predictionsOf(needs)] : []),
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
      const bytes = refitBytes(architecture, batchTokens, needs.recovers);
      apart(
        "recovery",
        ["the equations and hidden states of recovery", bytes],
        needs.recovers === "both" ? "--recover auto or none" : "--recover none",
      );
    }
    // An expert that is not there is read again and again, so they come first.
    const expertBytes = Math.min(weights.experts, budget - least, room);
    room -= expertBytes;
    const left = budget - least - expertBytes;
    // Room for candidates' block inputs saves more than weights that need no expanding, and both
    // more than a second batch.
    const batches = Math.ceil(needs.tokens / batchTokens);
    const oneBatch = Math.min(left, (COPIES - 1) * inputs);
    // Weights in float32 take the place of their halves.
    const expandedBytes = Math.min(weights.expanded, 2 * Math.min(left - oneBatch, room));
    const rest = left - oneBatch - expandedBytes / 2;
    const cacheBytes = inputs + oneBatch + Math.min(rest, (batches - 1) * COPIES * inputs);
    return { batchTokens, cacheBytes, expandedBytes, expertBytes };
  }
}

/** What takes memory, and how many bytes. */
export type MemoryPart = readonly [what: string, bytes: number];

/** What the dense model says of both sets of samples. */
function predictionsOf({ tokens }: MemoryNeeds): MemoryPart {
  return ["the dense model's predictions", 2 * tokens * PREDICTION_BYTES];
}

/** What must be there for `tokens` tokens, sequences of `length` each, to run through a model. */
function partsOfRun(
  architecture: Architecture,
  weights: WeightMemory,
  backend: BackendDescription,
  run: { readonly tokens: number; readonly length: number },
): readonly MemoryPart[] {
  return [
    ["the process and its engine", PROCESS_BYTES],
    ...backend.engines === 1 ? [] : [sharedEngines(architecture, backend)],
    ["the weights as they are in the checkpoint", weights.held - weights.experts],
    ...weights.experts === 0 ? [] : [readExperts(architecture)],
    ["one block or the head in float32", Math.max(weights.largestBlock, weights.head)],
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

function sumOf(parts: readonly MemoryPart[]): number {
  return parts.reduce((sum, [, bytes]) => sum + bytes, 0);
}

function tooLittle(
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
  const parts = [...partsOfRun(model.architecture, weights, backend, run), ...run.beside ?? []];
  const least = sumOf(parts);
  if (least > budget) {
    throw tooLittle("this evaluation", parts, budget, "shorter windows with --seq-len");
  }
  const expertBytes = Math.min(weights.experts, budget - least);
  // Weights in float32 take the place of their halves.
  const expandedBytes = Math.min(weights.expanded, 2 * (budget - least - expertBytes));
  return { expandedBytes, expertBytes };
}

/** An engine with a memory of its own holds copies of what it is fed. */
function engineCopies({ memoryLimitBytes }: BackendDescription): number {
  return memoryLimitBytes === null ? 1 : 1.5;
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
