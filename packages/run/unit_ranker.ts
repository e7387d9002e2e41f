import { denseShape, ownersOf, type Ranking, type Shape, withUnits } from "@lopper/core";
import {
  type CalibrationSet,
  chooseRanking,
  energy,
  rankByActivations,
  rankByMoments,
  rankByRouting,
  type RankedUnits,
  type RankingRule,
  rankLike,
  ranks,
  type Scorer,
  type SeenActivations,
  seenActivations,
  tokenCount,
  trialCut,
  usualRanking,
  type WeightRule,
} from "@lopper/importance";
import type { Decoder } from "@lopper/runtime";
import type { Ranker, RankingLine, RankRequest } from "@lopper/search";

export interface UnitRankerOptions {
  /** Runs the model, and holds the weights that are laid out. */
  readonly decoder: Decoder;
  /**
   * One rule for all, or several, the published one first: units of each kind go by the one that a
   * trial cut hurts least.
   */
  readonly rules: readonly RankingRule[];
  /** All units of the dense model by a rule that needs weights alone. */
  readonly byWeights: (rule: WeightRule) => Promise<Ranking>;
  /** Text from whose activations the rankings come. */
  readonly text: CalibrationSet;
  /**
   * Scores text that decides nothing else, on which rules are compared. Null: there is none, and
   * units go as published.
   */
  readonly validation: Scorer | null;
  readonly batchTokens: number;
  /** One pass over the text, where others do it; left out, the decoder does. */
  readonly pass?: (shape: Shape, onProgress: Report) => Promise<SeenActivations>;
  /** Hears of the work done and all there is, in tokens or in blocks; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Takes the weights over after they were laid out anew. */
  readonly onRanked?: () => Promise<void>;
}

/** What is ranked, of a model of which this is left. */
interface Ranked {
  readonly dimension: string;
  readonly shape: Shape;
}

/** Whose units are in which ranking now, and why. */
interface Choice {
  readonly chosen: string;
  readonly tried: RankingLine["tried"];
  readonly units: RankedUnits;
}

type Report = (done: number) => void;

/**
 * Ranks units by activations, which change when blocks go: every stage that narrows blocks begins
 * with one pass over the text. Where rules are compared, every block is cut alike, by what the
 * stage is to remove, by each ranking, and another than the published one is taken where it is
 * significantly better on the validation sequences.
 */
export class UnitRanker implements Ranker {
  readonly #options: UnitRankerOptions;
  /** What the last pass over the text saw, until units move. */
  #seen: { readonly shape: Shape; readonly activations: SeenActivations } | null = null;

  constructor(options: UnitRankerOptions) {
    this.#options = options;
  }

  async rank({ dimension, shape, percent, resource }: RankRequest) {
    const { blocks } = this.#options.decoder;
    const present = shape.reduce(
      (sum, size, at) => size?.[dimension] === undefined ? sum : sum + resource.block(at, size),
      0,
    );
    // If all units cost alike.
    const share = percent / 100 * resource.amount(denseShape(blocks)) / present;
    return await this.#choose({ dimension, shape }, share);
  }

  async apply({ dimension, units }: Pick<RankingLine, "dimension" | "units">) {
    const { decoder: { weights }, onRanked } = this.#options;
    this.#seen = null;
    weights.rearrange(withUnits(weights.ranking, dimension, units));
    await onRanked?.();
  }

  /** @param share of the units that the stage is to remove. */
  async #choose(ranked: Ranked, share: number): Promise<Choice> {
    const { rules, validation, text, onProgress } = this.#options;
    const able = rules.filter((rule) => ranks(rule, ranked.dimension));
    const asked = able.length === 0 || able.length > 1 && !validation
      ? [usualRanking(ranked.dimension)]
      : able;
    const passes = asked.some(({ needs }) => needs === "activations" || needs === "routing") &&
      !this.#isSeen(ranked);
    const trials = asked.length > 1 ? asked.length * validation!.tokens : 0;
    const textTokens = passes ? tokenCount(text) : 0;
    const report = (done: number) => onProgress?.(done, textTokens + trials);
    const found = new Map<string, RankedUnits>();
    for (const rule of asked) found.set(rule.name, await this.#rank(rule, ranked, report));
    if (asked.length === 1) {
      const [[chosen, units]] = found;
      return { chosen, tried: [], units };
    }
    const tried = await this.#try(found, ranked, share, (done) => report(textTokens + done));
    const chosen = chooseRanking(tried);
    return { chosen, tried, units: found.get(chosen)! };
  }

  async #rank(
    rule: RankingRule,
    { dimension, shape }: Ranked,
    report: Report,
  ): Promise<RankedUnits> {
    const { decoder, byWeights, text, batchTokens, onProgress } = this.#options;
    if (rule.needs === "weights") {
      const all = await byWeights(rule);
      return rankLike(decoder, shape, dimension, all.map((units) => units?.[dimension] ?? null));
    }
    if (rule.needs === "secondMoments") {
      const options = { batchTokens, onProgress };
      const ranked = await rankByMoments(decoder, shape, dimension, rule, text, options);
      const { blocks } = decoder;
      if (!blocks.some((block) => ownersOf(block, dimension) > 1)) return ranked;
      // Few tokens go to each of many experts: not enough for equations.
      const seen = await this.#activations(shape, report);
      const alone = await rankByActivations(decoder, shape, dimension, energy, seen);
      return ranked.map((units, at) => ownersOf(blocks[at], dimension) > 1 ? alone[at] : units);
    }
    const seen = await this.#activations(shape, report);
    return rule.needs === "routing"
      ? rankByRouting(decoder, shape, dimension, rule, seen)
      : await rankByActivations(decoder, shape, dimension, rule, seen);
  }

  #isSeen({ shape }: Pick<Ranked, "shape">): boolean {
    return this.#seen?.shape === shape;
  }

  async #activations(shape: Shape, onProgress: Report): Promise<SeenActivations> {
    if (this.#seen?.shape === shape) return this.#seen.activations;
    const { decoder, text, batchTokens, pass } = this.#options;
    const activations = pass
      ? await pass(shape, onProgress)
      : await seenActivations(decoder, shape, text, { batchTokens, onProgress });
    this.#seen = { shape, activations };
    return activations;
  }

  /** Mean NLL of each sequence kept aside after a cut by each ranking. */
  async #try(
    found: ReadonlyMap<string, RankedUnits>,
    { dimension, shape }: Ranked,
    share: number,
    report: Report,
  ): Promise<RankingLine["tried"]> {
    const { decoder: { weights }, validation } = this.#options;
    const cut = trialCut(shape, dimension, share);
    const before = weights.ranking;
    const tried: { ranking: string; nll: readonly number[] }[] = [];
    try {
      for (const [ranking, units] of found) {
        weights.rearrange(withUnits(before, dimension, units));
        const done = tried.length * validation!.tokens;
        const { sequenceNll } = await validation!.evaluate(cut, (tokens) => report(done + tokens));
        tried.push({ ranking, nll: sequenceNll });
      }
    } finally {
      weights.rearrange(before);
    }
    return tried;
  }
}
