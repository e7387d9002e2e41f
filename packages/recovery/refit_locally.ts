import type { Products } from "@lopper/algebra";
import { mean } from "@lopper/core";
import { costBetween, type LocalRefit } from "@lopper/search";
import type { RecoveryEvent } from "./course.ts";
import { localFits } from "./local_fits.ts";
import { batched, begin, lossesOf, lossOf } from "./pass.ts";
import { drop, during, type Projections, type RefitModel } from "./projections.ts";
import { LAMBDAS } from "./refit.ts";
import type { RefitRun, RefitTexts } from "./refit_task.ts";

const NONE: Projections = new Map();

/**
 * Fits the projections of all narrowed blocks to what the dense blocks write (`localFits`), with
 * one ridge after the other; each has to lower the mean loss on the text to choose on below that of
 * the best one before it. The decoder's weights are afterwards as they were.
 * @returns the fits of the best ridge; none where none helps.
 */
export async function* refitLocally(
  model: RefitModel,
  products: Products,
  texts: RefitTexts,
  run: RefitRun,
): AsyncGenerator<RecoveryEvent, Projections> {
  const known = run.recorded.filter((line): line is LocalRefit =>
    line.type === "local" && line.steps === run.steps
  );
  for (const line of known) yield { line, resumed: true };
  const untried = LAMBDAS.filter((lambda) => !known.some((line) => line.lambda === lambda));
  const helped = known.findLast(({ kept }) => kept);
  if (untried.length === 0 && !helped) return NONE;
  let started = run.measure();
  const judge = untried.length > 0 ? await judgeOf(model, texts, run) : null;
  const fits = await localFits(
    model,
    products,
    batched(texts.calibration, texts.batchTokens),
    helped ? [helped.lambda, ...untried] : untried,
    (block) => run.onProgress?.(block, model.shape.length),
  );
  let best = helped ? fits.get(helped.lambda)! : NONE;
  if (!judge) return best;
  using _ = judge;
  let before = helped?.after ?? known[0]?.before ?? await judge.loss(NONE);
  for (const lambda of untried) {
    const projections = fits.get(lambda)!;
    const after = await judge.loss(projections);
    const kept = mean(after) < mean(before);
    const ended = run.measure();
    const cost = costBetween(started, ended);
    const { steps } = run;
    const found = { steps, lambda, projections: projections.size, before, after, kept, cost };
    yield { line: { type: "local", ...found }, resumed: false };
    drop(kept ? best : projections);
    if (kept) [best, before] = [projections, after];
    started = ended;
  }
  return best;
}

interface LocalJudge extends Disposable {
  /** What the text to choose on loses by a model with these projections. */
  loss(by: Projections): Promise<readonly number[]>;
}

async function judgeOf(
  model: RefitModel,
  { validation, batchTokens }: RefitTexts,
  { criterion }: RefitRun,
): Promise<LocalJudge> {
  const { decoder, shape } = model;
  const text = batched(validation, batchTokens);
  const losses = lossesOf(text, { criterion, dense: decoder });
  await losses.prepare();
  const start = await begin(decoder, text);
  return {
    loss: (by) => during(model, by, () => lossOf(decoder, shape, start, losses)),
    [Symbol.dispose]: () => start.states.drop(),
  };
}
