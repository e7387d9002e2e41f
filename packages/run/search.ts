import { Products } from "@lopper/algebra";
import { type Block, LopperError, planOf } from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { Model } from "@lopper/models";
import { batched, LocalFitter } from "@lopper/recovery";
import {
  type Fitter,
  greedySearch,
  journalEntry,
  type RankingLine,
  type SearchModel,
  searchModelOf,
  type SearchOptions,
  type SearchPolicy,
  type SearchResult,
  wayOf,
} from "@lopper/search";
import type { Decision } from "./decision.ts";
import type { Teller } from "./phase.ts";
import type { PreparedRun } from "./prepare.ts";
import { projectionDType } from "./recover.ts";
import { fitsCells, pickerOf, rankerOf, scorerOnce } from "./search_tools.ts";
import type { RunStore } from "./store.ts";
import type { EarlyStop, StageRanking } from "./schemas/record.ts";
import { measuresSteps } from "./options/held_out_text.ts";
import type { RunFlags } from "./schemas/flags.ts";
import type { RunTexts } from "./texts.ts";

export interface SearchRun {
  readonly model: Model;
  readonly texts: RunTexts;
  readonly policy: SearchPolicy;
  readonly prepared: PreparedRun;
  readonly store: Pick<RunStore, "history" | "append">;
}

/**
 * Searches, with everything that was found out in the journal before the search goes on.
 * @throws {LopperError} when not even one step stays within --max-ppl-increase.
 */
export async function search(run: SearchRun, teller: Teller): Promise<Decision> {
  const model = searchModelOf(run.model.architecture);
  const rankings: RankingLine[] = [];
  const products = new Products(run.prepared.decoder.backend);
  try {
    const events = greedySearch(model, run.policy, optionsOf(run, teller, products));
    let event = await events.next();
    for (; !event.done; event = await events.next()) {
      const entry = journalEntry(event.value);
      if (entry) await run.store.append(entry);
      if (event.value.type === "ranking") rankings.push(event.value.ranking);
      teller.tell({ type: "search", event: event.value });
      teller.check();
    }
    return decisionOf(run, model, event.value, rankings);
  } finally {
    await products.dispose();
  }
}

/**
 * Fits what cells of a table narrow; null where nothing is to be refitted, or where candidates run
 * on a copy of the weights.
 */
function fitterOf({ model, texts, prepared }: SearchRun, products: Products): Fitter | null {
  const { decoder, searching, settings: { flags } } = prepared;
  if (!fitsCells(flags) || searching !== decoder) return null;
  const fitted = { decoder, dtypeOf: (block: Block) => projectionDType(model, block) };
  return new LocalFitter(fitted, products, batched(texts.extended, flags.batchTokens));
}

/** What the settings ask for. */
function optionsOf(run: SearchRun, teller: Teller, products: Products): SearchOptions {
  const { model, texts, prepared, store } = run;
  const { decoder, searching, shared, scorers, settings: { flags } } = prepared;
  const once = (text: "heldOut" | "validation") =>
    shared?.scorer(text) ?? scorerOnce(searching, texts[text]!, flags);
  const onActivations = (done: number, total: number) =>
    teller.tell({ type: "progress", phase: "looking at activations", done, total });
  const rankingTexts = { text: texts.extended, validation: texts.validation };
  return {
    scorers,
    picker: pickerOf(flags, fitterOf(run, products)),
    withoutReuse: flags.fastWithout.includes("reuse"),
    measure: () => ({
      blockTokens: searching.blockTokens + (shared?.work.blockTokens ?? 0),
      seconds: performance.now() / 1000,
    }),
    history: store.history,
    bestEffort: flags.bestEffort,
    watch: {
      heldOut: measuresSteps(flags) ? once("heldOut") : undefined,
      maxIncrease: flags.maxPplIncrease === null ? undefined : flags.maxPplIncrease / 100,
    },
    onMeasuring: teller.check,
    units: {
      ranking: decoder.weights.ranking,
      ranker: rankerOf(flags, model, { decoder, searching, shared }, rankingTexts, onActivations),
    },
    swap: flags.swap === "none"
      ? undefined
      : { validation: texts.validation && once("validation") },
  };
}

function decisionOf(
  { model: { architecture }, prepared: { settings: { flags, modelDigest } } }: SearchRun,
  model: SearchModel,
  result: SearchResult,
  rankings: readonly RankingLine[],
): Decision {
  const stopped = earlyStop(result, flags);
  if (stopped && result.steps.length === 0) {
    throw new LopperError(
      `--max-ppl-increase ${stopped.limit}% allows no step: the first raises perplexity on the ${stopped.on} text by ` +
        `${stopped.increase?.toFixed(1) ?? "more than a number can say"} %`,
    );
  }
  const scored = result.beyond ? [...result.steps, result.beyond.step] : result.steps;
  return {
    plan: planOf(architecture, modelDigest, result.changes),
    shape: result.state.shape,
    ratio: result.ratio,
    ...wayOf(model, result),
    stopped,
    rankings: rankings.map(stageRanking),
    blockTokens: {
      spent: scored.reduce((sum, { blockTokens }) => sum + blockTokens.spent, 0),
      full: scored.reduce((sum, { blockTokens }) => sum + blockTokens.full, 0),
    },
  };
}

function stageRanking({ dimension, chosen, tried }: RankingLine): StageRanking {
  const finite = (value: number) => Number.isFinite(value) ? value : null;
  return {
    dimension,
    ranking: chosen,
    tried: Object.fromEntries(tried.map(({ ranking, nll }) => [ranking, finite(perplexity(nll))])),
  };
}

function earlyStop({ beyond }: SearchResult, flags: RunFlags): EarlyStop | null {
  if (!beyond) return null;
  const increase = beyond.increase * 100;
  return {
    limit: flags.maxPplIncrease!,
    on: measuresSteps(flags) ? "held-out" : "calibration",
    increase: Number.isFinite(increase) ? increase : null,
    ratio: beyond.step.ratio,
  };
}
