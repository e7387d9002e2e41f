import { type BlockRefit, costBetween, type RecoveryLine } from "@lopper/search";
import { type Attempt, BlockRefits } from "./block_refits.ts";
import { isFitted } from "./fitted.ts";
import type { RefitModel } from "./projections.ts";
import type { RefitRun, RefitStart, RefitTexts } from "./refit_task.ts";
import { stopsOf } from "./stops.ts";

/** What is new, or was recorded before. */
export interface RecoveryEvent {
  readonly line: RecoveryLine;
  readonly resumed: boolean;
}

/** What became of the blocks, one by one. */
export interface CourseResult {
  /** Numbers of the blocks whose output projection changed. */
  readonly refitted: readonly number[];
  readonly tried: number;
}

/**
 * Goes through both models block by block, and refits the output projection of every block that
 * stays where something is gone, or of a mixture what its experts are multiplied with. A refit
 * stays in the decoder's weights if the mean loss on the text to choose on falls.
 */
export async function* refitBlocks(
  model: RefitModel,
  texts: RefitTexts,
  run: RefitRun,
  start: RefitStart,
): AsyncGenerator<RecoveryEvent, CourseResult> {
  const { decoder: { blocks }, shape } = model;
  const lines = run.recorded.filter(({ steps }) => steps === run.steps);
  const judged = lines.some((line) => line.type === "recovery" && !line.local);
  const refitted: number[] = [];
  let tried = 0;
  let loss: readonly number[] | null = null;
  using refits = await BlockRefits.begin(model, texts, run.criterion, start);
  for (const stop of stopsOf(blocks, shape)) {
    run.onProgress?.(stop.block, shape.length);
    const started = run.measure();
    await refits.denseTo(stop.next);
    const { layer, kind } = blocks[stop.block];
    const ref = { layer, kind };
    const known = lines.find((line): line is BlockRefit =>
      line.type === "refit" && line.layer === ref.layer && line.kind === ref.kind
    );
    // Where all were tested, every refit that was tried is known.
    const fits = stop.refit && isFitted(blocks[stop.block]);
    if (fits && (known || !judged)) {
      if (known) yield { line: known, resumed: true };
      if (known?.kept) await refits.again(stop.block, known.lambda);
      const attempt: Attempt | null = known ?? await refits.attempt(stop.block, loss);
      if (attempt) {
        tried += 1;
        if (attempt.kept) refitted.push(stop.block);
        loss = attempt.kept ? attempt.after : attempt.before;
      }
      if (attempt && !known) {
        const { steps, measure } = run;
        const found = { type: "refit", steps, ...ref, folded: stop.folded, ...attempt } as const;
        yield { line: { ...found, cost: costBetween(started, measure()) }, resumed: false };
      }
    }
    await refits.prunedTo(stop.next);
  }
  return { refitted, tried };
}
