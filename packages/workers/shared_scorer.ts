import { denseShape, headCostInBlocks, LopperError, type Ranking, type Shape } from "@lopper/core";
import type { Architecture } from "@lopper/core";
import { batchNumbers, forwardCost, perplexity } from "@lopper/importance";
import type { Scorable, Score, Scorer } from "@lopper/importance";
import { sizesBetween } from "./sizes.ts";
import type { Work } from "./work.ts";
import type { Job, WorkSet } from "./work_schema.ts";

/** A text by its name in a run, and how the units of its model lie now. */
export interface SharedText {
  readonly name: string;
  readonly set: WorkSet;
  readonly architecture: Architecture;
  readonly ranking: () => Ranking;
}

/** Candidates in a job: few enough that a lost one is no loss, enough to be worth the way. */
const CANDIDATES = 8;

type Task = Job["task"];

/** Values of a candidate that a job brings. */
interface Asked {
  readonly answer: Promise<readonly (readonly number[])[]>;
  readonly place: number;
}

/**
 * Scores by asking workers, each of which keeps block inputs of some of the batches. A batch is
 * computed as it is without workers, and what is summed over batches is summed here, in their
 * order: so nothing depends on who computed what.
 */
export class SharedScorer implements Scorer {
  readonly tokens: number;
  readonly length: number;
  readonly batches: readonly (readonly number[])[];
  readonly keptBatches: number;
  readonly #work: Work;
  readonly #options: SharedText;
  readonly #dense: Shape;
  /** By task, batch, and what is scored. */
  readonly #asked = new Map<string, Asked>();

  constructor(work: Work, options: SharedText) {
    const { set, architecture } = options;
    this.#work = work;
    this.#options = options;
    this.#dense = denseShape(architecture.blocks);
    this.length = set.length;
    this.tokens = set.sequences.length * set.length;
    this.batches = batchNumbers(set, set);
    this.keptBatches = this.batches.length;
  }

  /** Has workers keep what the dense model says of the text; see `SuffixScorer.prepare`. */
  async prepare(onProgress?: (done: number) => void): Promise<void> {
    let done = 0;
    const ready = this.batches.map((sequences, batch) =>
      this.#send("prepare", this.#dense, [], batch)
        .then(() => onProgress?.(done += sequences.length))
    );
    await Promise.all(ready);
  }

  fullCost(shape: Shape): number {
    return forwardCost(
      shape,
      this.tokens,
      headCostInBlocks(this.#options.architecture, this.length),
    );
  }

  async evaluate(shape: Shape, onProgress?: (tokensDone: number) => void): Promise<Score> {
    const means = new Array<number>(this.#options.set.sequences.length);
    for (const batch of this.batches.keys()) this.expect(shape, [null], batch, "score");
    let done = 0;
    for (const [batch, numbers] of this.batches.entries()) {
      (await this.score(shape, null, batch)).forEach((mean, i) => means[numbers[i]] = mean);
      onProgress?.(done += numbers.length * this.length);
    }
    return { perplexity: perplexity(means), sequenceNll: means };
  }

  score(base: Shape, candidate: Scorable | null, batch: number): Promise<readonly number[]> {
    return this.#valuesOf("score", base, candidate, batch);
  }

  async perturbation(base: Shape, candidate: Scorable, batch: number): Promise<number> {
    const [value] = await this.#valuesOf("perturbation", base, candidate, batch);
    return value;
  }

  expect(
    base: Shape,
    candidates: readonly (Scorable | null)[],
    batch: number,
    what: "score" | "perturbation",
  ) {
    const left = candidates.filter((candidate) =>
      !this.#asked.has(this.#key(what, base, candidate, batch))
    );
    for (let from = 0; from < left.length; from += CANDIDATES) {
      const some = left.slice(from, from + CANDIDATES);
      const answer = this.#send(what, base, some, batch);
      // Whoever waits for it hears of its failure.
      answer.catch(() => {});
      for (const [place, candidate] of some.entries()) {
        this.#asked.set(this.#key(what, base, candidate, batch), { answer, place });
      }
    }
  }

  /** Workers see by what they are asked what is worth keeping. */
  favour() {}

  release() {
    this.#asked.clear();
  }

  async #valuesOf(
    what: "score" | "perturbation",
    base: Shape,
    candidate: Scorable | null,
    batch: number,
  ): Promise<readonly number[]> {
    this.expect(base, [candidate], batch, what);
    const key = this.#key(what, base, candidate, batch);
    const { answer, place } = this.#asked.get(key)!;
    const values = (await answer)[place];
    this.#asked.delete(key);
    const needed = what === "score" ? this.batches[batch].length : 1;
    if (values?.length !== needed) {
      throw new LopperError(
        `a worker answered with ${values?.length ?? "no"} numbers where ${needed} were asked for`,
      );
    }
    return values;
  }

  /** Of this text; what a candidate is, not where it came from, says what it scores. */
  #key(what: Task, base: Shape, candidate: Scorable | null, batch: number): string {
    // The base plan decides from where a move is measured.
    const from = what === "perturbation" ? sizesBetween(this.#dense, base) : null;
    return JSON.stringify([what, batch, sizesBetween(this.#dense, candidate?.shape ?? base), from]);
  }

  async #send(
    task: Task,
    base: Shape,
    candidates: readonly (Scorable | null)[],
    batch: number,
  ): Promise<readonly (readonly number[])[]> {
    const { name, ranking } = this.#options;
    const { values } = await this.#work.ask({
      task,
      ...{ set: name, batch, base: sizesBetween(this.#dense, base) },
      candidates: candidates.map((candidate) =>
        candidate && { first: candidate.first, sizes: sizesBetween(base, candidate.shape) }
      ),
    }, ranking());
    return values;
  }
}
