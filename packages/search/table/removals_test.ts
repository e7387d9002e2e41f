import type { Shape } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { savedBy } from "../saved.ts";
import { searchModelOf } from "../search_model.ts";
import { denseState } from "../state.ts";
import { tinyArchitecture } from "../testing/tiny_architecture.ts";
import { tableCells } from "./cells.ts";
import { courseOf } from "./course.ts";
import { bothRemovals, removalsOf } from "./removals.ts";

const MODEL = searchModelOf(tinyArchitecture(3));
const OPTIONS = { ratio: 30, groups: { channels: 4, kvGroups: 8 } };
const STATE = denseState(MODEL.blocks);
const CELLS = tableCells(MODEL, OPTIONS, STATE);
const RESOURCE = { resource: MODEL.parameters, groups: OPTIONS.groups };
const saved = (shape: Shape) => savedBy(MODEL.parameters, MODEL.blocks, shape);

/** What is lost where losses of blocks add up, and lie on lines between cells. */
function lossOf(losses: readonly number[], shape: Shape): number {
  return shape.reduce((sum, size, at) => {
    if (size === STATE.shape[at]) return sum;
    const own = CELLS.map((cell, i) => ({ left: cell.shape[at], loss: losses[i], cell }))
      .filter(({ cell }) => cell.first === at);
    if (!size) return sum + own.at(-1)!.loss;
    const unitsOf = (left: Shape[number]) => Object.values(left ?? { none: 0 })[0];
    const points = [
      { units: unitsOf(STATE.shape[at]), loss: 0 },
      ...own.map(({ left, loss }) => ({ units: unitsOf(left), loss })),
    ];
    const to = points.findIndex(({ units }) => units <= unitsOf(size));
    const [a, b] = [points[to - 1], points[to]];
    return sum + a.loss + (b.loss - a.loss) * (a.units - unitsOf(size)) / (a.units - b.units);
  }, 0);
}

Deno.test("table: cells are 1, 2, 4 … groups of a block and all of it, block after block", () => {
  assert.deepEqual(CELLS.slice(0, 6).map(({ key }) => key), [
    "0.attention kvGroups→1",
    "0.attention",
    "0.mlp channels→28",
    "0.mlp channels→24",
    "0.mlp channels→16",
    "0.mlp",
  ]);
  assert.deepEqual(CELLS.map(({ first }) => first), CELLS.map(({ first }) => first).toSorted());
});

Deno.test("table: removals go in the order of their prices, and no other plan of cells is cheaper where one ends", () => {
  const price = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(price, { minLength: CELLS.length, maxLength: CELLS.length }), (losses) => {
      const removals = bothRemovals(STATE, CELLS, losses, RESOURCE);
      const prices = removals.all.map(({ price }) => price);
      assert.deepEqual(prices, prices.toSorted((a, b) => a - b));
      const course = courseOf(STATE.shape, removals, saved, 100);
      // What saves as much or more by cells alone, tried one block at a time from each plan.
      for (const [i, shape] of course.slice(0, prices.length).entries()) {
        // Within an edge nothing is said.
        if (prices[i + 1] - prices[i] < 1e-6) continue;
        const loss = lossOf(losses, shape);
        for (const cell of CELLS) {
          const other = shape.with(cell.first, cell.shape[cell.first]);
          if (saved(other) >= saved(shape)) {
            assert.ok(lossOf(losses, other) >= loss - 1e-9, `${cell.key} is cheaper`);
          }
        }
      }
    }),
    { seed: 7, numRuns: 200 },
  );
});

Deno.test("table: what lies above a line between two others is passed over", () => {
  const cheap = "1.mlp";
  const losses = CELLS.map(({ key }) => key === cheap ? 0.01 : key.startsWith(cheap) ? 5 : 9);
  const [first] = removalsOf(STATE, CELLS, losses, RESOURCE);
  assert.deepEqual([first.at, first.left], [3, null]);
});

Deno.test("table: a cell without a finite loss is passed over", () => {
  const losses = CELLS.map(({ key }) =>
    key === "0.attention" ? NaN : key === "0.mlp" ? Infinity : 1
  );
  const removals = removalsOf(STATE, CELLS, losses, RESOURCE);
  assert.ok(removals.every(({ at, left }) => left !== null || at > 1));
  assert.ok(removals.some(({ at }) => at === 0), "its other cells stay");
});

Deno.test("table: a plan goes no further beyond the bound than the smallest removal could", () => {
  const least = Math.min(...CELLS.map(({ shape }) => saved(shape)));
  const losses = CELLS.map(({ key }, i) => key.includes("→") ? 1 + i : 1e-3);
  const removals = bothRemovals(STATE, CELLS, losses, RESOURCE);
  for (let bound = 1; bound < 60; bound += 1) {
    const course = courseOf(STATE.shape, removals, saved, bound);
    const ratio = saved(course.at(-1)!);
    assert.ok(ratio >= bound && ratio <= bound + least + 1e-9, `${ratio} for ${bound}`);
    course.forEach((shape, i) => assert.ok(saved(shape) > (i === 0 ? 0 : saved(course[i - 1]))));
  }
});

Deno.test("table: where only large removals are left, one of them goes beyond the bound", () => {
  const removals = bothRemovals(STATE, CELLS, CELLS.map(() => 1), RESOURCE);
  const blocks = { all: removals.all.filter(({ left }) => left === null), narrowing: [] };
  const course = courseOf(STATE.shape, blocks, saved, 1);
  assert.ok(course.length === 1 && saved(course[0]) >= 1);
  // One group is not enough, and all blocks are too much.
  const one = { ...blocks, narrowing: removals.narrowing.slice(0, 1) };
  const [group, beyond, ...others] = courseOf(STATE.shape, one, saved, 5);
  assert.ok(saved(group) < 5 && saved(beyond) > 5);
  assert.deepEqual(others, []);
});
