import { type Architecture, DTYPE_BYTES, type Shape, type StopSignal } from "@lopper/core";
import type { Decoder, HiddenStates } from "@lopper/runtime";
import type { BlockInputs } from "./block_inputs.ts";
import { isSameShape } from "./differences.ts";
import type { Scorable } from "./scorer.ts";

/**
 * Tokens that go through a model together at most. With as many, reading a block takes about a
 * tenth of the time that computing it does (a block of an 8B, from a disk of 1 GB a second, on two
 * cores); with more, it is longer until the first of them is scored.
 */
const MAX_TOKENS = 8192;
/** Hidden states as they enter a block, and as they leave it. */
const COPIES = 2;

/** A candidate, or the base plan (null), on a batch. */
interface Pass {
  readonly candidate: Scorable | null;
  readonly batch: number;
}

interface RunningPass extends Pass {
  readonly shape: Shape;
  hidden: HiddenStates;
}

/** The base plan on a batch, on its way to where candidates leave it. */
interface BasePass {
  /** The block that `hidden` enters. */
  at: number;
  hidden: HiddenStates;
  /** The last block, or the head, whose input is asked for. */
  readonly end: number;
  /** Where inputs are kept; null where there is no room. */
  readonly keep: Map<number, HiddenStates> | null;
}

/** What passes are made with. */
export interface SharedPassesOptions {
  readonly decoder: Decoder;
  readonly inputs: BlockInputs;
  /** Bytes of hidden states that may be under way. */
  readonly bytes: number;
  readonly embed: (batch: number) => Promise<HiddenStates>;
  readonly tokensOf: (batch: number) => number;
  /** What the scorer answers, from what enters the head. */
  readonly means: (output: HiddenStates, batch: number) => Promise<readonly number[]>;
  /** Asked before each block: passes of a large model take minutes. */
  readonly signal?: StopSignal;
}

/**
 * Forward passes of all that is expected, side by side: each block runs for one after the other
 * before the next block does, so that one which stays in the file is read once for all of them.
 * Every pass computes what it does alone, call by call.
 */
export class SharedPasses {
  readonly #options: SharedPassesOptions;
  readonly #tokens: number;
  /** What the others are candidates of. */
  #base: Shape | null = null;
  /** By batch, in the order in which they were expected. */
  readonly #expected = new Map<number, Set<Scorable | null>>();
  readonly #found = new Map<number, Map<Scorable | null, readonly number[]>>();

  constructor(options: SharedPassesOptions) {
    this.#options = options;
    const { architecture } = options.decoder;
    this.#tokens = Math.min(MAX_TOKENS, options.bytes / bytesOfTokens(architecture, 1));
  }

  /** As a scorer's `expect` has it. */
  expect(base: Shape, candidates: readonly (Scorable | null)[], batch: number) {
    this.#begin(base);
    const expected = this.#expected.get(batch) ?? new Set();
    this.#expected.set(batch, expected);
    for (const candidate of candidates) {
      if (!this.#found.get(batch)?.has(candidate)) expected.add(candidate);
    }
  }

  /** As a scorer's `score` has it: with it, all that is expected and finds room is scored. */
  async score(
    base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    this.#begin(base);
    const known = () => this.#found.get(batch)?.get(candidate);
    if (!known()) await this.#run(base, this.#group({ candidate, batch }));
    const means = known()!;
    this.#found.get(batch)!.delete(candidate);
    return means;
  }

  /** Forgets what was expected, and what was found of it. */
  release() {
    this.#base = null;
    this.#expected.clear();
    this.#found.clear();
  }

  #begin(base: Shape) {
    if (this.#base && !isSameShape(this.#base, base)) this.release();
    this.#base = base;
  }

  /**
   * What runs with the one that is asked for: of its batch first, whose inputs are kept, and of
   * these the ones that begin where it does, so that where not all find room few blocks are read.
   */
  #group(asked: Pass): readonly Pass[] {
    const { tokensOf } = this.#options;
    const batches = new Set([asked.batch, ...this.#expected.keys()]);
    const place = ({ candidate }: Pass) => candidate?.first ?? this.#base!.length;
    const far = (pass: Pass) => Math.abs(place(pass) - place(asked));
    const others = [...batches].flatMap((batch) =>
      [...this.#expected.get(batch) ?? []].map((candidate): Pass => ({ candidate, batch }))
        .sort((a, b) => far(a) - far(b))
    );
    const group = [asked];
    // With the first of a batch goes the base plan.
    let tokens = 2 * tokensOf(asked.batch);
    for (const other of others) {
      if (other.batch === asked.batch && other.candidate === asked.candidate) continue;
      const isFirst = group.every(({ batch }) => batch !== other.batch);
      tokens += (isFirst ? 2 : 1) * tokensOf(other.batch);
      if (tokens > this.#tokens) break;
      group.push(other);
    }
    return group;
  }

  /** @throws what the signal throws; what was expected is expected still. */
  async #run(base: Shape, group: readonly Pass[]) {
    const { decoder, means, signal } = this.#options;
    const basePasses = await this.#basePasses(base, group);
    const running: RunningPass[] = [];
    for (let block = 0; block <= base.length; block++) {
      for (const { candidate, batch } of group) {
        if ((candidate?.first ?? base.length) !== block) continue;
        const { hidden } = basePasses.get(batch)!;
        running.push({ candidate, batch, shape: candidate?.shape ?? base, hidden });
      }
      if (block === base.length) break;
      // The base plan's block has all units, and narrower ones are the first of them: they are
      // expanded once.
      for (const pass of basePasses.values()) {
        if (pass.at !== block || block >= pass.end) continue;
        signal?.throwIfAborted();
        pass.hidden = await decoder.runBlock(block, base, pass.hidden);
        pass.at = block + 1;
        pass.keep?.set(pass.at, pass.hidden);
      }
      for (const pass of running) {
        signal?.throwIfAborted();
        pass.hidden = await decoder.runBlock(block, pass.shape, pass.hidden);
      }
    }
    for (const { candidate, batch, hidden } of running) {
      this.#found.set(batch, this.#found.get(batch) ?? new Map());
      this.#found.get(batch)!.set(candidate, await means(hidden, batch));
      this.#expected.get(batch)?.delete(candidate);
    }
  }

  /** The base plan on each batch, from the last block whose input is kept and that serves all. */
  async #basePasses(base: Shape, group: readonly Pass[]): Promise<ReadonlyMap<number, BasePass>> {
    const { inputs, embed } = this.#options;
    const byBatch = Map.groupBy(group, ({ batch }) => batch);
    const kept = [...byBatch.keys()].slice(-inputs.keptBatches);
    const passes = new Map<number, BasePass>();
    for (const [batch, those] of byBatch) {
      const firsts = those.map(({ candidate }) => candidate?.first ?? base.length);
      const known = inputs.ofBase(base, batch);
      let at = Math.min(...firsts);
      while (at > 0 && !known.has(at)) at--;
      const hidden = known.get(at) ?? await embed(batch);
      const keep = kept.includes(batch) ? known : null;
      keep?.set(at, hidden);
      passes.set(batch, { at, hidden, end: Math.max(...firsts), keep });
    }
    return passes;
  }
}

/** Bytes of hidden states that so many tokens under way take. */
function bytesOfTokens({ hiddenSize, blocks }: Architecture, tokens: number): number {
  // Where blocks run side by side, what both read is there, too.
  const states = blocks.some(({ parallel }) => parallel) ? COPIES + 1 : COPIES;
  return states * tokens * hiddenSize * DTYPE_BYTES.F32;
}

/** Bytes that a scorer has use for, beside the inputs of blocks, where blocks stay in the file. */
export function sharedPassBytes(architecture: Architecture): number {
  return bytesOfTokens(architecture, MAX_TOKENS);
}
