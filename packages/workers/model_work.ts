import { denseShape, mean, type Ranking, type Shape } from "@lopper/core";
import { batchActivations, type ResidentScorer, type SuffixScorer } from "@lopper/importance";
import { Decoder, type ResidentDecoder } from "@lopper/runtime";
import { packed } from "./shared_activations.ts";
import { withSizes } from "./sizes.ts";
import type { JobWorker, Named } from "./work_queue.ts";
import { type Answer, type Job, nameOf, readWork, WorkError, type WorkSet } from "./work_schema.ts";

/** A model in memory, and scorers of the texts of one run. */
export interface WorkerModel {
  /** Digest of the run's setup. */
  readonly run: string;
  /** Its weights lie in the ranking in which the dense model is asked. */
  readonly decoder: Decoder;
  /** What candidates run on: the same, or a copy on the backend's device. */
  readonly searching: Decoder | ResidentDecoder;
  readonly texts: ReadonlyMap<string, WorkerText>;
}

/** A text of the run, and what scores it. */
export interface WorkerText {
  readonly set: WorkSet;
  readonly scorer: SuffixScorer | ResidentScorer;
}

/** Does work of one run, one job after the other. */
export class ModelWorker implements JobWorker {
  readonly #model: WorkerModel;
  readonly #initial: Ranking;
  /** The ranking that jobs called so. */
  #named: { readonly name: string; readonly ranking: Ranking } | null = null;
  /** How units lie: block inputs are kept of that. */
  #ranking: string | null = null;
  /** Batches of which the dense model was asked, by their texts. */
  readonly #prepared = new Map<string, Set<number>>();
  /** What was scored lowest on each batch, of the plan that jobs are about. */
  readonly #lowest = new Map<string, { readonly base: string; loss: number }>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(model: WorkerModel) {
    this.#model = model;
    this.#initial = model.decoder.weights.ranking;
  }

  work(job: Named, kept: (name: string) => Promise<string>): Promise<Answer> {
    const done = this.#turn.then(() => this.#work(job, kept));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #work({ name, text }: Named, kept: (name: string) => Promise<string>): Promise<Answer> {
    const job = readWork("job", text);
    const { run, searching, decoder } = this.#model;
    if (job.run !== run) throw new WorkError("the queue has a job of another run");
    const on = this.#model.texts.get(job.set);
    if (!on || job.batch >= on.scorer.batches.length) {
      throw new WorkError(`the queue has a job on text ${job.set}, batch ${job.batch}; none is so`);
    }
    const ranking = await this.#rankingOf(job.ranking, kept);
    const tokens = () => decoder.blockTokens + (searching === decoder ? 0 : searching.blockTokens);
    const before = tokens();
    if (on.set.judged) await this.#prepare(job, on.scorer);
    await this.#layOut(job.ranking, ranking);
    const found = job.task === "activations"
      ? { values: [], activations: await this.#activations(job, on) }
      : { values: await this.#values(job, on.scorer) };
    return { job: name, ...found, blockTokens: tokens() - before };
  }

  async #rankingOf(
    name: string | null,
    kept: (name: string) => Promise<string>,
  ): Promise<Ranking> {
    if (name === null) return this.#initial;
    if (this.#named?.name === name) return this.#named.ranking;
    const text = await kept(name);
    if (await nameOf(text) !== name) throw new WorkError("the queue has another ranking by a name");
    const ranking = readWork("ranking", text);
    this.#named = { name, ranking };
    return ranking;
  }

  /**
   * The dense model is asked while its units lie as they did at first, whenever that is: sums round
   * otherwise in another ranking.
   */
  async #prepare({ set, batch }: Job, scorer: SuffixScorer | ResidentScorer) {
    const prepared = this.#prepared.get(set) ?? new Set();
    this.#prepared.set(set, prepared);
    if (prepared.has(batch)) return;
    const { decoder: { weights } } = this.#model;
    const now = weights.ranking;
    rearranged(weights, this.#initial);
    await scorer.prepareBatch(batch);
    rearranged(weights, now);
    prepared.add(batch);
  }

  async #layOut(name: string | null, ranking: Ranking) {
    if (this.#ranking === name) return;
    const { decoder: { weights }, searching, texts } = this.#model;
    rearranged(weights, ranking);
    for (const { scorer } of texts.values()) scorer.release();
    this.#lowest.clear();
    if (!(searching instanceof Decoder)) await searching.reload(weights);
    this.#ranking = name;
  }

  async #activations({ base, batch }: Job, { set, scorer }: WorkerText) {
    const { decoder } = this.#model;
    const shape = withSizes(decoder.blocks, denseShape(decoder.blocks), base);
    const sequences = scorer.batches[batch].map((i) => set.sequences[i]);
    return packed(await batchActivations(decoder, shape, sequences));
  }

  async #values(job: Job, scorer: SuffixScorer | ResidentScorer) {
    const { blocks } = this.#model.decoder;
    const base = withSizes(blocks, denseShape(blocks), job.base);
    const values: (readonly number[])[] = [];
    if (job.task === "prepare") return values;
    const candidates = job.candidates.map((candidate) => {
      const scored = candidate &&
        { first: candidate.first, shape: withSizes(blocks, base, candidate.sizes) };
      if (scored && scored.first > firstOf(candidate.sizes)) {
        throw new WorkError("the queue has a candidate that begins behind what it changes");
      }
      return scored;
    });
    if (job.task === "score" && "expect" in scorer) {
      scorer.expect?.(base, candidates, job.batch, job.task);
    }
    for (const scored of candidates) {
      if (job.task === "score") {
        const losses = await scorer.score(base, scored, job.batch);
        values.push(losses);
        if (scored) this.#favourLowest(job, scorer, scored.shape, mean(losses));
        continue;
      }
      if (!scored || !("perturbation" in scorer)) {
        throw new WorkError("the queue asks how far something moves that cannot be told");
      }
      values.push([await scorer.perturbation(base, scored, job.batch)]);
    }
    return values;
  }

  /** Block inputs of what may be taken are the next plan's, and are kept. */
  #favourLowest(
    { set, batch, base }: Job,
    scorer: SuffixScorer | ResidentScorer,
    shape: Shape,
    loss: number,
  ) {
    const place = `${set} ${batch}`, plan = JSON.stringify(base);
    const lowest = this.#lowest.get(place);
    if (lowest?.base === plan && !(loss < lowest.loss)) return;
    this.#lowest.set(place, { base: plan, loss });
    scorer.favour(shape);
  }
}

function firstOf(sizes: readonly (readonly [number, unknown])[]): number {
  return sizes.reduce((first, [block]) => Math.min(first, block), Infinity);
}

function rearranged(weights: Decoder["weights"], ranking: Ranking) {
  if (weights.ranking !== ranking) weights.rearrange(ranking);
}
