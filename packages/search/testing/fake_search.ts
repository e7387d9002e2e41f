import { afterChanges, allKept, planOf, type Ranking, sourceRanking } from "@lopper/core";
import assert from "node:assert/strict";
import type { Ranker } from "../ranker.ts";
import { checkWay } from "../check_way.ts";
import { exhaustive } from "../exhaustive.ts";
import type { SearchPolicy } from "../policy.ts";
import { Race } from "../race/race.ts";
import { searchModelOf } from "../search_model.ts";
import { byLayers, FakeScorer, type LayerLoss } from "./fake_scorer.ts";
import { runSearch, type SearchRun } from "./run_search.ts";
import { changesOf, wayOf } from "../way.ts";
import { tinyArchitecture } from "./tiny_architecture.ts";
import type { SwapTrial } from "../journal_lines.ts";

/** What is searched. */
export const ARCHITECTURE = tinyArchitecture(4);
export const MODEL = searchModelOf(ARCHITECTURE);

/**
 * Ranks the units anew before every stage that narrows: the last of those that are kept comes
 * first.
 */
function turning(): Ranker & { readonly ranking: Ranking } {
  let ranking = sourceRanking(MODEL.blocks);
  return {
    get ranking() {
      return ranking;
    },
    rank: ({ dimension, shape }) =>
      Promise.resolve({
        chosen: "energy",
        tried: [],
        units: ranking.map((ranked, at) => {
          const units = ranked?.[dimension];
          const kept = shape[at]?.[dimension] ?? 0;
          return units ? [...units.slice(0, kept).reverse(), ...units.slice(kept)] : null;
        }),
      }),
    apply: ({ dimension, units }) => {
      ranking = ranking.map((ranked, at) =>
        units[at] ? { ...ranked, [dimension]: units[at] } : ranked
      );
      return Promise.resolve();
    },
  };
}

export interface Outcome extends SearchRun {
  readonly trials: readonly SwapTrial[];
  /** As a run keeps it: where it went, and what stays. */
  readonly way: ReturnType<typeof wayOf>;
  readonly plan: ReturnType<typeof planOf>;
  readonly scored: number;
}

/** Searches, with swaps where the policy has them, and goes on with the lines of a journal. */
export async function search(
  loss: LayerLoss,
  policy: SearchPolicy,
  options: {
    readonly lines?: readonly string[];
    readonly swap?: boolean;
    readonly validation?: LayerLoss;
    readonly heldOut?: LayerLoss;
    readonly maxIncrease?: number;
    readonly bestEffort?: boolean;
    readonly fast?: boolean;
  } = {},
): Promise<Outcome> {
  const fake = (of: LayerLoss) => new FakeScorer(byLayers(ARCHITECTURE, of));
  const scorer = fake(loss);
  const ranker = turning();
  const picker = options.fast
    ? new Race({ racing: true, lazy: true, proxies: true, threshold: true })
    : exhaustive;
  const { result, events, lines } = await runSearch(
    MODEL,
    policy,
    scorer,
    {
      picker,
      units: { ranker },
      bestEffort: options.bestEffort,
      watch: {
        heldOut: options.heldOut && fake(options.heldOut),
        maxIncrease: options.maxIncrease,
      },
      swap: options.swap === false
        ? undefined
        : { validation: options.validation ? fake(options.validation) : null },
    },
    options.lines,
  );
  assert.equal(scorer.unasked, 0, "what was expected was asked for");
  const way = wayOf(MODEL, result);
  checkWay(MODEL, way);
  const changes = changesOf(way);
  assert.deepEqual(changes, result.changes);
  const { blocks } = MODEL;
  assert.deepEqual(afterChanges(blocks, allKept(blocks), changes), result.state.kept);
  // What a scorer runs is what is kept: the first units in the order in which they lie.
  for (const [at, kept] of result.state.kept.entries()) {
    for (const [dimension, units] of Object.entries(kept ?? {})) {
      const lying = ranker.ranking[at]![dimension].slice(0, units.length);
      assert.deepEqual(lying.toSorted((a, b) => a - b), units);
    }
  }
  return {
    result,
    events,
    lines,
    trials: result.swaps.filter((line) => line.type === "swap"),
    way,
    plan: planOf(ARCHITECTURE, "m", changes),
    scored: scorer.scored,
  };
}
