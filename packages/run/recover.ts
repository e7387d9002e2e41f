import { type BlockRef, isFloatDType, UsageError } from "@lopper/core";
import { keepAside, perplexity } from "@lopper/importance";
import { type Model, type Refit, weightsOfBlock } from "@lopper/models";
import { projection, repair, type RepairResult } from "@lopper/recovery";
import { type Decoder, sourceOrder } from "@lopper/runtime";
import { orderOfPlan, type RepairLine } from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { RunTexts } from "./texts.ts";
import type { Recovery } from "./schemas/record.ts";

export interface RecoveryRun {
  readonly model: Model;
  readonly decision: Decision;
  /** Holds the weights of the checkpoint; those of the projections that are repaired change. */
  readonly decoder: Decoder;
  readonly texts: RunTexts;
  readonly batchTokens: number;
  /** Whether repairs are judged by what the dense model says of the text. */
  readonly againstDense: boolean;
  /** What an earlier run found out. */
  readonly recorded: readonly RepairLine[];
  readonly record: (line: RepairLine) => Promise<void>;
  readonly onLine: (line: RepairLine, resumed: boolean) => void;
  /** Hears of the blocks done, and those to do; may throw to stop. */
  readonly onProgress: (done: number, total: number) => void;
}

/** Repairs what a search left, as far as it helps on text kept aside. Null where there is too little of that. */
export async function recover(
  run: RecoveryRun,
): Promise<{ readonly recovery: Recovery; readonly refit: Refit } | null> {
  const { model, decision, decoder, texts, batchTokens, againstDense, recorded } = run;
  const { plan, layers, frontier } = decision;
  const parts = texts.aside && await keepAside(texts.aside, 1 / 2);
  if (!parts) return null;
  // What stays comes first in every block, in the order in which it will be written. What goes follows as the checkpoint has
  // it, so that a plan's repairs do not depend on how the plan was found.
  decoder.weights.rearrange(orderOfPlan(plan, sourceOrder(decoder.spec)));
  const events = repair({
    decoder,
    layers,
    steps: frontier.length,
    learn: texts.fit,
    choose: parts.learn,
    verdict: parts.aside,
    batchTokens,
    againstDense,
    dtypeOf: (ref) => projectionDType(model, ref),
    recorded,
    measure: () => ({ blockTokens: decoder.blockTokens, seconds: performance.now() / 1000 }),
    onProgress: run.onProgress,
  });
  let event = await events.next();
  for (; !event.done; event = await events.next()) {
    const { line, resumed } = event.value;
    if (!resumed) await run.record(line);
    run.onLine(line, resumed);
  }
  const { repaired } = event.value;
  const isRepaired = (block: BlockRef) =>
    repaired.some(({ layer, kind }) => layer === block.layer && kind === block.kind);
  const refit: Refit = (block) =>
    isRepaired(block)
      ? decoder.weights.block(block, layers[block.layer])
        .find(({ name }) => name === projection(block))!.data
      : null;
  return { recovery: summary(event.value), refit };
}

function summary({ tried, helped, repaired, verdict }: RepairResult): Recovery {
  const value = (nll: readonly number[] | undefined) => {
    const found = nll ? perplexity(nll) : NaN;
    return Number.isFinite(found) ? found : null;
  };
  return {
    tried,
    helped,
    kept: repaired.length,
    perplexity: { before: value(verdict?.before), after: value(verdict?.after) },
  };
}

function projectionDType(model: Model, ref: BlockRef) {
  const { dtype, name } = weightsOfBlock(model, ref).get(projection(ref))!;
  if (isFloatDType(dtype)) return dtype;
  throw new UsageError(
    `--recover auto writes new weights, and ${name} is ${dtype}; it needs F32, F16 or BF16`,
  );
}
