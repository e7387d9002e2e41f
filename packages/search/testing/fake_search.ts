import type { UnitOrder } from "@lopper/runtime";
import type { Arranger } from "../arrange.ts";
import { checkFrontier } from "../check_frontier.ts";
import { exhaustive } from "../exhaustive.ts";
import { wayOf } from "../frontier.ts";
import { planFromLayers } from "../plan.ts";
import type { SearchPolicy } from "../policy.ts";
import { Race } from "../race/race.ts";
import type { SwapTrial } from "../swap/swap_line.ts";
import { FakeScorer, type Loss } from "./fake_scorer.ts";
import { runSearch, type SearchRun } from "./run_search.ts";
import { tinySpec } from "./tiny_spec.ts";

/** What is searched. */
export const SPEC = tinySpec(4);

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

export interface Outcome extends SearchRun {
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
  const scorer = new FakeScorer(loss);
  const arranger = turning();
  const orders: UnitOrder[] = [];
  const picker = options.fast
    ? new Race({ racing: true, lazy: true, proxies: true, threshold: true })
    : exhaustive;
  const { result, events, lines } = await runSearch(
    SPEC,
    policy,
    scorer,
    {
      picker,
      arranger,
      bestEffort: options.bestEffort,
      watch: {
        heldOut: options.heldOut && new FakeScorer(options.heldOut),
        maxIncrease: options.maxIncrease,
      },
      swap: options.swap === false
        ? undefined
        : { aside: options.aside ? new FakeScorer(options.aside) : null },
    },
    options.lines,
    (event) => {
      if (event.type === "step") orders.push(arranger.order);
    },
  );
  const { removalOrder } = result;
  const way = wayOf(SPEC, result, (steps) => orders[steps - 1]);
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
