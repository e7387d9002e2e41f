import { mean, UnsupportedModelError } from "@lopper/core";
import { costBetween, type RepairVerdict } from "@lopper/search";
import { refitBlocks, type RepairEvent } from "./course.ts";
import { batched, begin, lossesOf, lossOf } from "./pass.ts";
import type { RefitModel, RefitRun, RefitTexts } from "./refit_task.ts";
import { whyNotRefitted } from "./solvable.ts";

export interface RepairResult {
  /**
   * Numbers of the blocks whose output projection changed; none where the verdict was against it.
   */
  readonly repaired: readonly number[];
  readonly tried: number;
  /** Repairs that helped one by one. */
  readonly helped: number;
  readonly verdict: RepairVerdict | null;
}

/**
 * Refits the output projection of every block that stays, one after the other, so that the pruned
 * model's hidden states come nearer to the dense ones: W = W₀ + (Y − W₀X)Xᵀ(XXᵀ + λI)⁻¹, ridge
 * regression that shrinks toward the weights that are there. X is what enters the projection in the
 * model that is repaired so far; Y are the dense hidden states less the pruned model's at that place, so that
 * a fit makes up for what is lost before it, too. Where removed blocks follow, it is the dense
 * hidden states behind them: ReplaceMe (arXiv 2505.02819) folds removed blocks into the projection before
 * them so.
 *
 * λ is the one with the smallest error on the text to choose on, and a repair stays if the mean
 * loss there falls. In the end all of them stay if the mean NLL falls on text that chose nothing,
 * or else none.
 * @throws {UnsupportedModelError} when the projections of the model are none that equations give
 *   (`whyNotRefitted`).
 */
export async function* repair(
  model: RefitModel,
  texts: RefitTexts,
  run: RefitRun,
): AsyncGenerator<RepairEvent, RepairResult> {
  const { decoder, shape } = model;
  const { steps, recorded, measure } = run;
  const reason = whyNotRefitted(decoder.blocks);
  if (reason !== null) throw new UnsupportedModelError(`--recover auto ${reason}`);
  const judged = recorded.find((line): line is RepairVerdict =>
    line.type === "verdict" && line.steps === steps
  );
  const text = batched(texts.verdict, texts.batchTokens);
  const losses = lossesOf(text);
  const loss = async () => await lossOf(decoder, shape, await begin(decoder, text), losses);
  const before = judged?.before ?? await loss();
  const { repaired, tried } = yield* refitBlocks(model, texts, run);
  const helped = repaired.length;
  if (helped === 0) return { repaired, tried, helped, verdict: null };
  const started = measure();
  const after = judged?.after ?? await loss();
  const verdict: RepairVerdict = judged ?? {
    type: "verdict",
    steps,
    before,
    after,
    kept: mean(after) < mean(before),
    cost: costBetween(started, measure()),
  };
  yield { line: verdict, resumed: judged !== undefined };
  return { repaired: verdict.kept ? repaired : [], tried, helped, verdict };
}
