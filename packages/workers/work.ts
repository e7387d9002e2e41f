import { LopperError, type Ranking } from "@lopper/core";
import type { Named, WorkQueue } from "./work_queue.ts";
import { type Answer, type Job, nameOf, type WorkSetup, workText } from "./work_schema.ts";

/** What a job says beside the run that it is of and how units lie. */
export type Question = Omit<Job, "run" | "ranking">;

/** An answer that says something. */
export type Done = Extract<Answer, { readonly values: unknown }>;

/** The work of one run, as whoever leads it sees it: what is asked, and what it took. */
export class Work {
  readonly #queue: WorkQueue;
  readonly #setup: Promise<Named>;
  readonly #initial: Ranking;
  /** Names of rankings that workers may find. */
  readonly #rankings = new WeakMap<Ranking, Promise<string>>();
  #blockTokens = 0;

  /** @param initial how units lie in the workers' models when they are loaded. */
  constructor(queue: WorkQueue, setup: WorkSetup, initial: Ranking) {
    this.#queue = queue;
    this.#initial = initial;
    this.#setup = this.#begin(workText(setup));
    // Whoever asks first hears of its failure.
    this.#setup.catch(() => {});
  }

  /** Of all answers that were heard, each once. */
  get blockTokens(): number {
    return this.#blockTokens;
  }

  /**
   * Has workers answer.
   * @throws {LopperError} when they cannot.
   */
  async ask(
    question: Question,
    ranking: Ranking,
  ): Promise<Done> {
    const { name: run } = await this.#setup;
    const text = workText({ run, ranking: await this.#nameOf(ranking), ...question });
    const answer = await this.#queue.ask({ name: await nameOf(text), text }, question.batch);
    if ("problem" in answer) throw new LopperError(`a worker could not go on: ${answer.problem}`);
    this.#blockTokens += answer.blockTokens;
    return answer;
  }

  async #begin(text: string): Promise<Named> {
    const setup = { name: await nameOf(text), text };
    await this.#queue.begin(setup);
    return setup;
  }

  async #nameOf(ranking: Ranking): Promise<string | null> {
    if (ranking === this.#initial) return null;
    const known = this.#rankings.get(ranking) ?? this.#keep(ranking);
    this.#rankings.set(ranking, known);
    return await known;
  }

  async #keep(ranking: Ranking): Promise<string> {
    const text = workText(ranking);
    const name = await nameOf(text);
    await this.#queue.keep({ name, text });
    return name;
  }
}
