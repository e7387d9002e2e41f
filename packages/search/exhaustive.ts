import { indexOfLowest, type Picker } from "./picker.ts";
import { BASE, type ScoreEvent, type StepScores } from "./scores.ts";

/**
 * The published search: every candidate is scored on every sequence, and the lowest loss is taken.
 */
export const exhaustive: Picker = {
  async *pick(scores: StepScores): AsyncGenerator<ScoreEvent, number> {
    const { candidates, scorer } = scores;
    const all = scorer.batches.map((_, i) => i);
    let best = -1;
    // Portion by portion, so that the block inputs that are kept serve every candidate before they
    // make room.
    for (let from = 0; from < all.length; from += scorer.keptBatches) {
      const portion = all.slice(from, from + scorer.keptBatches);
      const everyone = candidates.map((_, i) => i);
      scores.expect(scores.weighted ? [BASE, ...everyone] : everyone, portion);
      if (scores.weighted) yield* scores.scoreBase(portion);
      for (const [i, candidate] of candidates.entries()) {
        yield* scores.score(i, portion);
        if (from + portion.length < all.length) continue;
        if (scores.loss(i) < (best < 0 ? Infinity : scores.loss(best))) {
          best = i;
          scorer.favour(candidate.shape);
        }
      }
    }
    return indexOfLowest(candidates.map((_, i) => scores.loss(i)));
  },
  expectedTokens: ({ candidates }, tokens) => candidates * tokens,
};
