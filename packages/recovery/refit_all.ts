import { mean, UnsupportedModelError } from "@lopper/core";
import { costBetween, type RecoveryTest } from "@lopper/search";
import { type RecoveryEvent, refitBlocks } from "./course.ts";
import { batched, begin, lossesOf, lossOf } from "./pass.ts";
import type { RefitModel, RefitRun, RefitTexts } from "./refit_task.ts";
import { whyNotRefitted } from "./solvable.ts";

export interface RecoveryResult {
  /**
   * Numbers of the blocks whose output projection changed; none where the test was against them.
   */
  readonly refitted: readonly number[];
  readonly tried: number;
  /** Refits that helped one by one. */
  readonly helped: number;
  readonly test: RecoveryTest | null;
}

/**
 * Refits the output projection of every block that stays, one after the other, so that the pruned
 * model's hidden states come nearer to the dense ones: W = W₀ + (Y − W₀X)Xᵀ(XXᵀ + λI)⁻¹, ridge
 * regression that shrinks toward the weights that are there. X is what enters the projection in the
 * model that is refitted so far; Y are the dense hidden states less the pruned model's at that
 * place, so that a fit makes up for what is lost before it, too. Where removed blocks follow, it is
 * the dense hidden states behind them: ReplaceMe (arXiv 2505.02819) folds removed blocks into the
 * projection before them so.
 *
 * λ is the one with the smallest error on the text to choose on, and a refit stays if the mean loss
 * there falls. In the end all of them stay if the mean NLL falls on text that chose nothing, or
 * else none.
 * @throws {UnsupportedModelError} when the projections of the model are none that equations give
 *   (`whyNotRefitted`).
 */
export async function* refitAll(
  model: RefitModel,
  texts: RefitTexts,
  run: RefitRun,
): AsyncGenerator<RecoveryEvent, RecoveryResult> {
  const { decoder, shape } = model;
  const { steps, recorded, measure } = run;
  const reason = whyNotRefitted(decoder.architecture);
  if (reason !== null) throw new UnsupportedModelError(`--recover auto ${reason}`);
  const judged = recorded.find((line): line is RecoveryTest =>
    line.type === "recovery" && line.steps === steps
  );
  const text = batched(texts.test, texts.batchTokens);
  const losses = lossesOf(text);
  const loss = async () => await lossOf(decoder, shape, await begin(decoder, text), losses);
  const before = judged?.before ?? await loss();
  const { refitted, tried } = yield* refitBlocks(model, texts, run);
  const helped = refitted.length;
  if (helped === 0) return { refitted, tried, helped, test: null };
  const started = measure();
  const after = judged?.after ?? await loss();
  const test: RecoveryTest = judged ?? {
    type: "recovery",
    steps,
    before,
    after,
    kept: mean(after) < mean(before),
    cost: costBetween(started, measure()),
  };
  yield { line: test, resumed: judged !== undefined };
  return { refitted: test.kept ? refitted : [], tried, helped, test };
}
