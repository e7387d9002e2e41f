import type { BackendDescription } from "@lopper/backends";
import { formatBytes, InsufficientMemoryError } from "@lopper/core";
import { keptBytes, PREDICTION_BYTES, sharedPassBytes } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { activationBytes, type WeightMemory, weightMemory } from "@lopper/runtime";
import {
  type BlocksIn,
  engineCopies,
  firstFitting,
  type MemoryOf,
  type MemoryPart,
  partsOfRun,
  sumOf,
  tooLittle,
} from "./memory_parts.ts";
import type { SideWork } from "./side_work.ts";

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
  /**
   * Bytes for hidden states of one scorer: kept block inputs, and candidates that share a reading.
   */
  readonly cacheBytes: number;
  /** Bytes of weights that stay in the file. */
  readonly inFileBytes: number;
  /** Bytes that a workspace may keep in memory: all, where there is no scratch file. */
  readonly workspaceBytes: number;
  /** Bytes that go to its scratch file at most at a time. */
  readonly scratchBytes: number;
  /** Bytes that the run takes in all, at most. */
  readonly totalBytes: number;
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
  /** What else is there while candidates are scored. */
  readonly alongside?: readonly MemoryPart[];
  readonly beside?: {
    readonly works: readonly SideWork[];
    /** Whether there is a scratch file. */
    readonly scratch: boolean;
  };
}

/** Where blocks are, and what work beside the search keeps. */
interface Places {
  readonly blocks: BlocksIn;
  readonly kept: "memory" | "file";
}

/**
 * Shares out a budget of bytes. What must be there comes first: the weights as they are, one block
 * in float32, the engine's own tensors, and the block inputs of one batch. What is left goes to
 * weights in float32 and to block inputs that save running the base plan again. Where what a
 * recovery keeps leaves no room for that, a scratch file has it; where weights do not, blocks stay
 * in the file, and those that the rest has room for in memory.
 * @throws {InsufficientMemoryError} with the figures, when the least does not fit.
 */
export function planMemory(needs: MemoryNeeds, budget: number): MemoryPlan {
  checkEngine(needs);
  const ways: readonly Places[] = needs.beside?.scratch
    ? [
      { blocks: "memory", kept: "memory" },
      { blocks: "memory", kept: "file" },
      { blocks: "file", kept: "file" },
    ]
    : [{ blocks: "memory", kept: "memory" }, { blocks: "file", kept: "memory" }];
  return firstFitting(ways, (places) => {
    const isLast = places === ways.at(-1);
    return planOf(needs, places, budget, { isLast });
  });
}

function planOf(
  needs: MemoryNeeds,
  places: Places,
  budget: number,
  { isLast }: { readonly isLast: boolean },
): MemoryPlan {
  const { length } = needs;
  const { blocks } = places;
  const most = Math.max(1, Math.floor(needs.batchTokens / length)) * length;
  for (
    let batchTokens = most;;
    batchTokens = Math.max(length, Math.floor(batchTokens / 2 / length) * length)
  ) {
    const inputs = keptBytes(needs.architecture, length, batchTokens);
    const parts: readonly MemoryPart[] = [
      ...partsOfRun(needs, blocks, { tokens: batchTokens, length }),
      ...needs.alongside ?? [],
      ...besideScoring(needs, places, batchTokens),
      [`the inputs of all blocks for ${batchTokens} tokens`, inputs],
    ];
    const least = sumOf(parts);
    const apart = partsApart(needs, places, batchTokens);
    const short = apart.find(({ parts }) => sumOf(parts) > budget);
    if (least > budget || short) {
      // Before batches are smaller, more goes to files.
      const mayBeSmaller = batchTokens > length && !needs.fixed;
      if (mayBeSmaller && (least > budget || isLast)) continue;
      throw least > budget
        ? tooLittle("this run", parts, budget, "shorter sequences with --seq-len")
        : tooLittle(short!.work.what, short!.parts, budget, short!.work.otherwise);
    }
    return sharedOut(needs, places, budget, { batchTokens, inputs, least, apart });
  }
}

/** What a run takes with batches of so many tokens. */
interface Least {
  readonly batchTokens: number;
  /** Bytes of the inputs of all blocks for a batch. */
  readonly inputs: number;
  /** Bytes without which there is no search. */
  readonly least: number;
  readonly apart: ReturnType<typeof partsApart>;
}

/** Shares out what is left of a budget beyond the least. */
function sharedOut(
  needs: MemoryNeeds,
  places: Places,
  budget: number,
  { batchTokens, inputs, least, apart }: Least,
): MemoryPlan {
  const { weights } = needs;
  const { blocks } = places;
  let room = Math.min(budget, ...apart.map(({ parts }) => budget - sumOf(parts)));
  // What is not there is read again and again, so it comes first, but for what has candidates
  // share a reading.
  const together = blocks === "file"
    ? Math.min(budget - least, sharedPassBytes(needs.architecture))
    : 0;
  const { taken, ...held } = heldBytes(
    weights,
    blocks,
    Math.min(budget - least - together, room),
  );
  room -= taken;
  const left = budget - least - together - taken;
  // Room for candidates' block inputs saves more than weights that need no expanding, and both
  // more than a second batch.
  const batches = Math.ceil(needs.tokens / batchTokens);
  const oneBatch = Math.min(left, (COPIES - 1) * inputs);
  // Weights in float32 take the place of their halves.
  const expandedBytes = Math.min(weights.expanded, 2 * Math.min(left - oneBatch, room));
  const rest = left - oneBatch - expandedBytes / 2;
  const cacheBytes = inputs + together + oneBatch +
    Math.min(rest, (batches - 1) * COPIES * inputs);
  const inFileBytes = weights.blocks - held.blockBytes + weights.experts - held.expertBytes;
  const work = workspaceOf(needs, places, room - expandedBytes / 2);
  const inMemory = taken + expandedBytes / 2;
  const totalBytes = inMemory + Math.max(
    least - inputs + cacheBytes,
    ...apart.map(({ work: { kept }, parts }) =>
      sumOf(parts) + Math.min(kept, work.workspaceBytes === Infinity ? 0 : work.workspaceBytes)
    ),
  );
  return { batchTokens, cacheBytes, inFileBytes, expandedBytes, totalBytes, ...held, ...work };
}

/** What work takes that goes on while candidates are scored. */
function besideScoring(
  { beside }: MemoryNeeds,
  places: Places,
  batchTokens: number,
): readonly MemoryPart[] {
  const works = beside?.works.filter(({ whileScoring }) => whileScoring) ?? [];
  return works.map((work) => [work.takes, workBytes(work, places, batchTokens)]);
}

/** What needs to be there for each work that begins when the inputs of all blocks were let go. */
function partsApart(needs: MemoryNeeds, places: Places, batchTokens: number) {
  const run = { tokens: batchTokens, length: needs.length };
  // Where memory is short, equations take the place of what the head is expanded in.
  const through = places.kept === "file" ? "blocks" : "all";
  const base = [...partsOfRun(needs, places.blocks, run, through), ...needs.alongside ?? []];
  const works = needs.beside?.works.filter(({ whileScoring }) => !whileScoring) ?? [];
  return works.map((work): { readonly work: SideWork; readonly parts: readonly MemoryPart[] } => ({
    work,
    parts: [...base, [work.takes, workBytes(work, places, batchTokens)]],
  }));
}

/** What of a work has to be in memory. */
function workBytes(work: SideWork, places: Places, batchTokens: number): number {
  const equations = work.equations(batchTokens);
  return places.kept === "file" ? equations : equations + keptBy(work, places);
}

function keptBy({ kept, replaced }: SideWork, { blocks }: Places): number {
  return kept + (blocks === "file" ? replaced : 0);
}

/** @param room that is left when the work is done. */
function workspaceOf(
  { beside }: MemoryNeeds,
  places: Places,
  room: number,
): Pick<MemoryPlan, "workspaceBytes" | "scratchBytes"> {
  if (places.kept === "memory") return { workspaceBytes: Infinity, scratchBytes: 0 };
  const most = Math.max(0, ...beside!.works.map((work) => keptBy(work, places)));
  const workspaceBytes = Math.max(0, room);
  return { workspaceBytes, scratchBytes: Math.max(0, most - workspaceBytes) };
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
  return firstFitting(["memory", "file"] as const, (blocks) => {
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
