import type { LayerSpec } from "@lopper/core";
import type { Scorable, Score, Scorer } from "@lopper/importance";
import type { UnitOrder } from "@lopper/runtime";
import type { Arranger } from "../arrange.ts";
import { checkFrontier } from "../check_frontier.ts";
import { checkHistory } from "../check_history.ts";
import { exhaustive } from "../exhaustive.ts";
import { wayOf } from "../frontier.ts";
import { greedySearch } from "../greedy.ts";
import { parseJournal, toJournalLine } from "../journal.ts";
import { planFromLayers } from "../plan.ts";
import type { SearchPolicy } from "../policy.ts";
import { Race } from "../race/race.ts";
import type { SearchEvent, SearchResult } from "../search.ts";
import type { SwapTrial } from "../swap/swap_line.ts";
import { tinySpec } from "./tiny_spec.ts";

/** What is searched. */
export const SPEC = tinySpec(4);

/** Loss of what remains, in nats per token, on one sequence. */
export type Loss = (layers: readonly LayerSpec[], sequence: number) => number;

/** Scores by a function of what remains; counts the sequences that it was asked for. */
class LossScorer implements Scorer {
  readonly tokens = 80;
  readonly length = 10;
  readonly batches = [[0, 3], [1, 7], [2, 5], [4, 6]];
  readonly keptBatches = 2;
  scored = 0;
  readonly #loss: Loss;

  constructor(loss: Loss) {
    this.#loss = loss;
  }

  fullCost(): number {
    return 1;
  }
  favour() {}
  release() {}

  evaluate(layers: readonly LayerSpec[]): Promise<Score> {
    this.scored += 8;
    const sequenceNll = Array.from({ length: 8 }, (_, s) => this.#loss(layers, s));
    return Promise.resolve({ sequenceNll, perplexity: NaN });
  }

  score(trunk: readonly LayerSpec[], candidate: Scorable | null, batch: number) {
    this.scored += this.batches[batch].length;
    const layers = candidate?.layers ?? trunk;
    return Promise.resolve(this.batches[batch].map((s) => this.#loss(layers, s)));
  }
}

/** Lays the units out anew before every stage that narrows: the last of those that are kept comes first. */
function turning(): Arranger & { readonly order: UnitOrder } {
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  let order: UnitOrder = {
    layers: SPEC.layers.map(() => ({ kvGroups: range(2), channels: range(32) })),
  };
  return {
    get order() {
      return order;
    },
    arrange: ({ units, layers }) =>
      Promise.resolve({
        chosen: "energy",
        tried: [],
        layers: order.layers.map((layer, i) => {
          const kept = units === "channels"
            ? layers[i].mlp?.intermediateSize ?? 0
            : layers[i].attention?.kvHeads ?? 0;
          return [...layer[units]!.slice(0, kept).reverse(), ...layer[units]!.slice(kept)];
        }),
      }),
    apply: ({ units, layers }) => {
      order = { layers: order.layers.map((layer, i) => ({ ...layer, [units]: layers[i] })) };
      return Promise.resolve();
    },
  };
}

export interface Outcome {
  readonly result: SearchResult;
  readonly events: readonly SearchEvent[];
  /** What a journal would hold. */
  readonly lines: readonly string[];
  readonly trials: readonly SwapTrial[];
  /** As a run keeps it: where it went, and what stays. */
  readonly way: ReturnType<typeof wayOf>;
  readonly plan: ReturnType<typeof planFromLayers>;
  readonly scored: number;
}

/** Searches, with swaps where the policy has them, and goes on with the lines of a journal. */
export async function search(
  loss: Loss,
  policy: SearchPolicy,
  options: {
    readonly lines?: readonly string[];
    readonly swap?: boolean;
    readonly aside?: Loss;
    readonly heldOut?: Loss;
    readonly maxIncrease?: number;
    readonly bestEffort?: boolean;
    readonly fast?: boolean;
  } = {},
): Promise<Outcome> {
  const scorer = new LossScorer(loss);
  const lines = [...options.lines ?? []];
  const arranger = turning();
  const searching = greedySearch(SPEC, policy, {
    scorers: { block: scorer, width: scorer },
    picker: options.fast
      ? new Race({ racing: true, lazy: true, proxies: true, threshold: true })
      : exhaustive,
    blockTokens: () => 0,
    now: () => 0,
    history: parseJournal(lines, "journal"),
    arranger,
    bestEffort: options.bestEffort,
    heldOut: options.heldOut && new LossScorer(options.heldOut),
    maxIncrease: options.maxIncrease,
    swap: options.swap === false
      ? undefined
      : { aside: options.aside ? new LossScorer(options.aside) : null },
  });
  const events: SearchEvent[] = [];
  const orders: UnitOrder[] = [];
  let event = await searching.next();
  for (; !event.done; event = await searching.next()) {
    const { value } = event;
    events.push(value);
    if (value.type === "evidence") lines.push(toJournalLine(value.evidence));
    if (value.type === "step") orders.push(arranger.order);
    if (value.type === "evidence" || value.type === "progress" || value.type === "warning") {
      continue;
    }
    if (value.resumed) continue;
    const line = value.type === "step"
      ? value.step
      : value.type === "order"
      ? value.arrangement
      : value.type === "measure"
      ? value.measure
      : value.line;
    lines.push(toJournalLine(line));
  }
  const result = event.value;
  const { removalOrder } = result;
  const way = wayOf(SPEC, result, (steps) => orders[steps - 1]);
  // Whatever a search writes down fits the model.
  checkHistory(SPEC, parseJournal(lines, "journal"), "journal");
  checkFrontier(SPEC, way);
  return {
    result,
    events,
    lines,
    trials: result.swaps.filter((line) => line.type === "swap"),
    way,
    plan: planFromLayers(result.layers, arranger.order, { modelDigest: "m", removalOrder }),
    scored: scorer.scored,
  };
}
