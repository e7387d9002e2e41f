import { layersOfShape, LopperError, planOf } from "@lopper/core";
import { type CalibrationSet, perplexity, type Scorer } from "@lopper/importance";
import type { Model } from "@lopper/models";
import {
  type Decoder,
  type LaidOutWeights,
  rankingOf,
  type ResidentDecoder,
} from "@lopper/runtime";
import {
  type Arrangement,
  type Arranger,
  greedySearch,
  type SearchEvent,
  searchModelOf,
  type SearchPolicy,
  type SearchResult,
  wayOf,
} from "@lopper/search";
import type { Decision } from "./decision.ts";
import { pickerOf, scorerOnce } from "./search_tools.ts";
import type { RunStore } from "./store.ts";
import type { EarlyStop } from "./schemas/record.ts";
import type { RunFlags } from "./schemas/flags.ts";

export interface SearchRun {
  readonly model: Model;
  readonly modelDigest: string;
  readonly flags: RunFlags;
  readonly policy: SearchPolicy;
  /** The weights, in the order in which they lie. */
  readonly weights: LaidOutWeights;
  readonly arranger: Arranger | undefined;
  /** What the scorers run on. */
  readonly decoder: Decoder | ResidentDecoder;
  readonly scorers: { readonly block: Scorer; readonly width: Scorer };
  /** What every step is measured on, where that is asked for. */
  readonly heldOut: CalibrationSet | null;
  /** Calibration text that is kept aside from the search. */
  readonly aside: CalibrationSet | null;
  readonly store: Pick<RunStore, "history" | "append">;
  readonly onEvent: (event: SearchEvent) => void;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
}

/**
 * Searches, with everything that was found out in the journal before the search goes on.
 * @throws {LopperError} when not even one step stays within --max-ppl-increase.
 */
export async function search(run: SearchRun): Promise<Decision> {
  const { store, weights, decoder, flags, heldOut, aside } = run;
  const { spec } = run.model;
  const model = searchModelOf(spec);
  const arrangements: Arrangement[] = [];
  const once = (set: CalibrationSet) => scorerOnce(decoder, set, flags);
  const events = greedySearch(model, run.policy, {
    scorers: run.scorers,
    picker: pickerOf(run.flags),
    withoutReuse: run.flags.fastWithout.includes("reuse"),
    measure: () => ({
      blockTokens: decoder.blockTokens,
      seconds: performance.now() / 1000,
    }),
    history: store.history,
    bestEffort: run.flags.bestEffort,
    watch: {
      heldOut: heldOut ? once(heldOut) : undefined,
      maxIncrease: flags.maxPplIncrease === null ? undefined : flags.maxPplIncrease / 100,
    },
    onMeasuring: run.check,
    ranking: rankingOf(spec, weights.order),
    arranger: run.arranger,
    swap: flags.swap === "none" ? undefined : { aside: aside && once(aside) },
  });
  let event = await events.next();
  while (!event.done) {
    if (event.value.type === "evidence") await store.append(event.value.evidence);
    else if (event.value.type === "step" && !event.value.resumed) {
      await store.append(event.value.step);
    } else if (event.value.type === "measure" && !event.value.resumed) {
      await store.append(event.value.measure);
    }
    if (event.value.type === "swap" && !event.value.resumed) await store.append(event.value.line);
    if (event.value.type === "order") {
      arrangements.push(event.value.arrangement);
      if (!event.value.resumed) await store.append(event.value.arrangement);
    }
    run.onEvent(event.value);
    run.check();
    event = await events.next();
  }
  const result = event.value;
  const stopped = earlyStop(result, flags);
  if (stopped && result.steps.length === 0) {
    throw new LopperError(
      `--max-ppl-increase ${stopped.limit}% allows no step: the first raises perplexity on the ${stopped.on} text by ` +
        `${stopped.increase?.toFixed(1) ?? "more than a number can say"} %`,
    );
  }
  const scored = result.beyond ? [...result.steps, result.beyond.step] : result.steps;
  return {
    plan: planOf(spec, run.modelDigest, result.changes),
    layers: layersOfShape(spec, result.state.shape),
    ratio: result.ratio,
    ...wayOf(model, result),
    stopped,
    orders: arrangements.map(({ dimension, chosen, tried }) => ({
      dimension,
      order: chosen,
      tried: Object.fromEntries(tried.map(({ order, nll }) => {
        const value = perplexity(nll);
        return [order, Number.isFinite(value) ? value : null];
      })),
    })),
    blockTokens: {
      spent: scored.reduce((sum, { blockTokens }) => sum + blockTokens.spent, 0),
      full: scored.reduce((sum, { blockTokens }) => sum + blockTokens.full, 0),
    },
  };
}

function earlyStop({ beyond }: SearchResult, flags: RunFlags): EarlyStop | null {
  if (!beyond) return null;
  const increase = beyond.increase * 100;
  return {
    limit: flags.maxPplIncrease!,
    on: flags.heldOut === null ? "calibration" : "held-out",
    increase: Number.isFinite(increase) ? increase : null,
    ratio: beyond.step.ratio,
  };
}
