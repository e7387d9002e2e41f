import assert from "node:assert/strict";
import { rankedState } from "./check_ranking.ts";
import { multiPruner } from "./multi_pruner.ts";
import { denseState } from "./state.ts";
import { MODEL, search } from "./testing/fake_search.ts";

Deno.test("ranking: what one dimension was ranked by holds on when a later stage ranks another", async () => {
  const policy = multiPruner(MODEL, {
    ratio: 20,
    distribution: [0, 1, 1],
    groups: { channels: 8, kvGroups: 8 },
  });
  const { result, events } = await search(() => 1, policy, { swap: false });
  const found = events.flatMap((event) => event.type === "ranking" ? [event.ranking] : []);
  assert.deepEqual(found.map(({ dimension }) => dimension), ["channels", "kvGroups"]);
  const { ranking } = result.state;
  for (const [at, { dimensions: [{ name, units }] }] of MODEL.blocks.entries()) {
    const wanted = found.find(({ dimension }) => dimension === name)!.units[at]!;
    assert.notDeepEqual(wanted, Array.from({ length: units }, (_, unit) => unit));
    assert.deepEqual(ranking[at], { [name]: wanted }, MODEL.blocks[at].id);
  }
});

Deno.test("ranking: one of a dimension leaves the others of the same block as they are", () => {
  const [block] = MODEL.blocks;
  const both = { ...block, dimensions: [{ name: "a", units: 2 }, { name: "b", units: 2 }] };
  const first = rankedState(denseState([both]), { dimension: "a", units: [[1, 0]] });
  const second = rankedState(first, { dimension: "b", units: [[1, 0]] });
  assert.deepEqual(second.ranking, [{ a: [1, 0], b: [1, 0] }]);
});
