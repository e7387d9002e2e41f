import type { Architecture, Shape } from "@lopper/core";
import type { HiddenStates } from "@lopper/runtime";
import { sequencesPerBatch } from "./batches.ts";
import { firstDifference, isSameShape } from "./differences.ts";

/**
 * Block inputs are kept of the base plan, of the favoured candidate and of the one being scored.
 */
const COPIES = 3;

/** Inputs of blocks of one batch by block number, and the shape under which they are the inputs. */
interface Kept {
  readonly shape: Shape;
  readonly inputs: Map<number, HiddenStates>;
}

/**
 * The block inputs that a scorer keeps: those of the base plan for the batches used last, for one
 * at least, and where there is room those of what was scored last and of the favoured candidate.
 * Where that one was taken, they become the base plan's.
 */
export class BlockInputs {
  /** Batches whose inputs are kept at a time. */
  readonly keptBatches: number;
  /** Whether there is room for the block inputs of candidates beside those of the base plan. */
  readonly keepsCandidates: boolean;
  /** By batch, least recently used first. */
  readonly #base = new Map<number, Kept>();
  readonly #favoured = new Map<number, Kept>();
  /** What was scored last. */
  #running: { shape: Shape; batches: Map<number, Kept> } | null = null;

  /**
   * @param batches that there are.
   * @param cacheBytes that all inputs together may take.
   * @param copyBytes of one copy of a batch, as `keptBytes` says.
   */
  constructor(batches: number, cacheBytes: number, copyBytes: number) {
    const room = Math.floor(cacheBytes / (COPIES * copyBytes));
    this.keepsCandidates = room >= 1;
    this.keptBatches = Math.max(1, Math.min(room, batches));
  }

  /**
   * Those of a batch under a base plan, by block number, as far as they are kept; more may be put
   * there.
   */
  ofBase(base: Shape, batch: number): Map<number, HiddenStates> {
    const old = this.#base.get(batch);
    const favoured = this.#favoured.get(batch);
    const inputs = new Map<number, HiddenStates>();
    if (old) {
      const valid = firstDifference(old.shape, base);
      for (const [block, hidden] of old.inputs) if (block <= valid) inputs.set(block, hidden);
    }
    if (favoured && !(old && isSameShape(old.shape, base))) {
      if (isSameShape(favoured.shape, base)) {
        for (const [block, hidden] of favoured.inputs) inputs.set(block, hidden);
      }
      this.#favoured.delete(batch);
    }
    // Deleting first moves it to the end: the batch used last.
    this.#base.delete(batch);
    this.#base.set(batch, { shape: base, inputs });
    for (const oldest of this.#base.keys()) {
      if (this.#base.size <= this.keptBatches) break;
      this.#base.delete(oldest);
      this.#favoured.delete(oldest);
      this.#running?.batches.delete(oldest);
    }
    return inputs;
  }

  /** Keeps those of a candidate, until another one is scored. */
  putRunning(shape: Shape, batch: number, inputs: Map<number, HiddenStates>) {
    if (!this.#running || !isSameShape(this.#running.shape, shape)) {
      this.#running = { shape, batches: new Map() };
    }
    this.#running.batches.set(batch, { shape, inputs });
  }

  /** Keeps those of what was scored last beyond the next candidate, if it has this shape. */
  favour(shape: Shape) {
    if (!this.#running || !isSameShape(this.#running.shape, shape)) return;
    for (const [batch, kept] of this.#running.batches) this.#favoured.set(batch, kept);
    this.#running = null;
  }

  release() {
    this.#base.clear();
    this.#favoured.clear();
    this.#running = null;
  }
}

/** Bytes of one copy of all block inputs of a batch, in float32. */
export function keptBytes(
  architecture: Architecture,
  length: number,
  batchTokens?: number,
): number {
  const tokens = sequencesPerBatch(length, batchTokens) * length;
  return (architecture.blocks.length + 1) * architecture.hiddenSize * 4 * tokens;
}
