import {
  type Block,
  isExpertOutput,
  isFloatDType,
  keptFirst,
  keptOf,
  outputProjection,
  sourceRanking,
  UsageError,
} from "@lopper/core";
import { type Criterion, perplexity, splitOff } from "@lopper/importance";
import { type Model, type Refit, weightsOfBlock } from "@lopper/models";
import { type RecoveryResult, refitAll, refitOf, type RefitWay } from "@lopper/recovery";
import type { Decoder } from "@lopper/runtime";
import type { RecoveryLine } from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunTexts } from "./texts.ts";
import type { Recovery } from "./schemas/record.ts";

/** In which way what stays is refitted, and what refits are judged by. */
interface RefitHow {
  readonly way: RefitWay;
  readonly criterion: Criterion;
}

export interface RecoveryRun {
  readonly model: Model;
  readonly decision: Decision;
  /** Holds the weights of the checkpoint; those of the projections that are refitted change. */
  readonly decoder: Decoder;
  readonly texts: RunTexts;
  readonly batchTokens: number;
  readonly how: RefitHow;
  /** What an earlier run found out. */
  readonly recorded: readonly RecoveryLine[];
  readonly record: (line: RecoveryLine) => Promise<void>;
  readonly onLine: (line: RecoveryLine, resumed: boolean) => void;
  /** Hears of the blocks done, and those to do; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Refits what a search left, as far as it helps on validation text. Null where there is too little
 * of that.
 */
export async function recover(
  run: RecoveryRun,
): Promise<{ readonly recovery: Recovery; readonly refit: Refit } | null> {
  const { model, decision, decoder, texts, batchTokens, how, recorded } = run;
  const { plan, shape, frontier } = decision;
  const parts = texts.validation && await splitOff(texts.validation, 1 / 2);
  if (!parts) return null;
  // What stays comes first in every block, in the order in which it will be written. What goes
  // follows as the checkpoint has it, so that a plan's refits do not depend on how the plan was
  // found.
  decoder.weights.rearrange(
    keptFirst(keptOf(model.architecture, plan), sourceRanking(decoder.blocks)),
  );
  const events = refitAll(
    { decoder, shape, dtypeOf: (block) => projectionDType(model, block) },
    {
      calibration: texts.extended,
      validation: parts.first,
      test: parts.last,
      batchTokens,
    },
    {
      ...how,
      steps: frontier.length,
      recorded,
      measure: () => ({ blockTokens: decoder.blockTokens, seconds: performance.now() / 1000 }),
      onProgress: run.onProgress,
    },
  );
  let event = await events.next();
  for (; !event.done; event = await events.next()) {
    const { line, resumed } = event.value;
    if (!resumed) await run.record(line);
    run.onLine(line, resumed);
  }
  const refit = refitOf(decoder, shape, event.value.refitted);
  return { recovery: summary(event.value), refit };
}

function summary({ tried, helped, refitted, tests }: RecoveryResult): Recovery {
  const last = tests.findLast(({ kept }) => kept) ?? tests.at(-1);
  const value = (nll: readonly number[] | undefined) => {
    const found = nll ? perplexity(nll) : NaN;
    return Number.isFinite(found) ? found : null;
  };
  return {
    tried,
    helped,
    kept: refitted.length,
    perplexity: { before: value(tests[0]?.before), after: value(last?.after) },
  };
}

/**
 * The dtype in which a block's output projection is written.
 * @throws {UsageError} when that is none for new weights.
 */
export function projectionDType(model: Model, block: Block) {
  const written = block.weights.find(isExpertOutput) ?? outputProjection(block);
  const { dtype, name } = weightsOfBlock(model, block).get(written.name)!;
  if (isFloatDType(dtype)) return dtype;
  throw new UsageError(
    `refits write new weights, and ${name} is ${dtype}; it needs F32, F16 or BF16 (or --recover none)`,
  );
}
