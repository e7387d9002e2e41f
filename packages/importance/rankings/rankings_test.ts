import { type Block, UsageError } from "@lopper/core";
import assert from "node:assert/strict";
import { energy } from "./energy.ts";
import { l1 } from "./l1.ts";
import { RANKING_NAMES, RANKINGS, rankingsOf, ranks, usualRanking } from "./mod.ts";
import { wanda } from "./wanda.ts";

const CHANNELS = {
  meanSquares: Float64Array.of(4, 0.25),
  columns: Float32Array.of(1, -2, 3, 0, 6, -6),
};

Deno.test("ranking: energy, on numbers worked out by hand", () => {
  assert.deepEqual([...energy.worth(CHANNELS)], [4 * 14, 0.25 * 72]);
});

Deno.test("ranking: wanda, on numbers worked out by hand", () => {
  assert.deepEqual([...wanda.worth(CHANNELS)], [2 * 6, 0.5 * 12]);
});

Deno.test("ranking: l1 sums the rows of a unit, and rows that it has fewer of count as often as they are used", async () => {
  const wide = { dimension: "units", width: 4 }, narrow = { dimension: "units", width: 2 };
  const block: Block = {
    id: "0.toy",
    layer: 0,
    kind: "toy",
    dimensions: [{ name: "units", units: 2 }, { name: "others", units: 3 }],
    weights: [
      { name: "norm", axes: [3], norm: true },
      { name: "a", axes: [wide, 3] },
      { name: "b", axes: [narrow, 3] },
      { name: "c", axes: [narrow, 3] },
      { name: "out", axes: [3, wide] },
      { name: "a_bias", axes: [wide] },
      { name: "other", axes: [{ dimension: "others", width: 1 }, 3] },
    ],
  };
  const rows = (values: readonly number[]) =>
    Float32Array.from(values.flatMap((value) => [value, -value, 0]));
  const values: Record<string, Float32Array> = {
    a: rows([1, 2, 3, 4, 5, 6, 7, 8]),
    b: rows([10, 20, 30, 40]),
    c: rows([100, 200, 300, 400]),
    other: rows([3, 1, 2]),
  };
  const asked: string[] = [];
  const read = ({ name }: { readonly name: string }) => {
    asked.push(name);
    return Promise.resolve(values[name]);
  };
  // Each row has twice its number; four rows of `a` a unit, and twice two of the others.
  assert.deepEqual([...await l1.worth(block, "units", read)], [
    2 * (10 + 2 * (30 + 300)) / 4,
    2 * (26 + 2 * (70 + 700)) / 4,
  ]);
  assert.deepEqual(asked, ["a", "b", "c"], "no bias, no norm, no outputs, no other dimension");
  assert.deepEqual([...await l1.worth(block, "others", read)], [6, 2, 4]);
});

Deno.test("rankings: --ranking names one, auto those that a trial can tell apart, and nothing else is known", () => {
  for (const rule of RANKINGS) assert.deepEqual(rankingsOf(rule.name), [rule]);
  assert.deepEqual(rankingsOf("auto").map(({ name }) => name), ["l1", "energy", "wanda"]);
  assert.equal(new Set(RANKING_NAMES).size, RANKINGS.length);
  assert.throws(
    () => rankingsOf("size"),
    (error) => error instanceof UsageError && /"size".*l1, energy/.test(error.message),
  );
});

Deno.test("rankings: a rule without dimensions is for all, another for those that it names", () => {
  assert.ok(ranks(l1, "anything"));
  const rule = { ...l1, dimensions: ["channels"] };
  assert.deepEqual(["channels", "kvGroups"].map((name) => ranks(rule, name)), [true, false]);
});

Deno.test("rankings: experts are worth means over the tokens that go to them, none without any", () => {
  const sums = {
    tokens: Float64Array.of(4, 1, 0, 2),
    squares: Float64Array.of(8, 3, 0, 1),
    weighted: Float64Array.of(1, 0.75, 0, 1.5),
  };
  const worth = (name: string) => {
    const [rule] = rankingsOf(name);
    assert.ok(rule.needs === "routing");
    return [...rule.worth(sums)];
  };
  assert.deepEqual(worth("msan"), [2, 3, 0, 0.5]);
  assert.deepEqual(worth("reap"), [0.25, 0.75, 0, 0.75]);
  const [l1] = rankingsOf("l1");
  assert.ok(!ranks(l1, "experts") && ranks(rankingsOf("reap")[0], "experts"));
  assert.ok(!ranks(rankingsOf("msan")[0], "channels"));
  assert.equal(usualRanking("experts").name, "msan");
  assert.equal(usualRanking("channels").name, "l1");
});
