import type { Shape } from "@lopper/core";
import type { Scorable } from "@lopper/importance";
import assert from "node:assert/strict";
import { competition } from "../competition.ts";
import { exhaustive } from "../exhaustive.ts";
import { savedBy } from "../saved.ts";
import { searchModelOf } from "../search_model.ts";
import { denseState } from "../state.ts";
import { FakeScorer } from "../testing/fake_scorer.ts";
import { hash } from "../testing/hash.ts";
import { runSearch } from "../testing/run_search.ts";
import { tinyArchitecture } from "../testing/tiny_architecture.ts";
import { ByTable } from "./by_table.ts";
import { courseOf } from "./course.ts";
import type { Fitter } from "./fitter.ts";
import { bothRemovals } from "./removals.ts";

const MODEL = searchModelOf(tinyArchitecture(6));
const GROUPS = { channels: 4, kvGroups: 8 };
const POLICY = competition(MODEL, { ratio: 40, groups: GROUPS });

/** Losses of blocks that add up, a little different for each sequence. */
function loss(shape: Shape, sequence: number): number {
  return shape.reduce(
    (sum, size, at) => sum + hash(1, `${at} ${JSON.stringify(size)}`) / 10,
    2 + sequence / 10,
  );
}

/** Writes down what it is asked for. */
class Noted implements Fitter {
  readonly asked: string[] = [];
  now: Scorable | null = null;

  put(candidate: Scorable) {
    assert.equal(this.now, null, "one at a time");
    this.now = candidate;
    this.asked.push(`${candidate.first}`);
    return Promise.resolve();
  }

  restore() {
    assert.ok(this.now);
    this.now = null;
    return Promise.resolve();
  }
}

async function search(lines: readonly string[] = [], scored = loss) {
  const fitter = new Noted();
  const scorer = new FakeScorer((shape, sequence, candidate) => {
    if (candidate && fitter.now) {
      assert.deepEqual(fitter.now, { shape: candidate.shape, first: candidate.first });
    }
    return scored(shape, sequence);
  });
  const picker = new ByTable(exhaustive, fitter);
  return { ...await runSearch(MODEL, POLICY, scorer, { picker }, lines), scorer, fitter };
}

Deno.test("table: every cell is scored once, and steps of the plan as wholes on all sequences", async () => {
  const { result, scorer, fitter } = await search();
  const [first, ...others] = result.steps;
  const cells = first.candidates.slice(0, -1);
  assert.equal(cells.length, 6 * (2 + 4), "heads and channels, in 1, 2, 4 … groups, and blocks");
  assert.ok(cells.every(({ sequences }) => sequences > 0));
  assert.equal(first.candidates.at(-1)!.key, first.taken.key);
  assert.ok(others.length > 0);
  assert.ok(others.every(({ candidates }) => candidates.length === 1));
  assert.ok(result.steps.every((step) => step.candidates.at(-1)!.sequences === 8));
  assert.ok(result.ratio >= 40 && result.ratio < 43);
  // The base on the batches of the table, each cell there, and each step on everything.
  assert.equal(scorer.scored, (cells.length + 1) * cells[0].sequences + 8 * result.steps.length);
  const order = fitter.asked.map(Number);
  assert.deepEqual(order, order.toSorted((a, b) => a - b), "block after block");
  assert.equal(order.length, 6 * (1 + 3), "what is narrowed has fits, and what is gone has none");
});

Deno.test("table: the plan is that of the knapsack over what cells add to the loss", async () => {
  const { result } = await search();
  const { blocks, parameters: resource } = MODEL;
  const state = denseState(blocks);
  const cells = POLICY.stages[0].table!.cells(state);
  const losses = cells.map(({ shape }) => loss(shape, 0) - loss(state.shape, 0));
  const removals = bothRemovals(state, cells, losses, { resource, groups: GROUPS });
  const course = courseOf(state.shape, removals, (shape) => savedBy(resource, blocks, shape), 40);
  assert.deepEqual(result.state.shape, course.at(-1));
});

Deno.test("table: what is cheap in it goes", async () => {
  const cheap = (shape: Shape) =>
    shape.reduce((sum, size, at) => sum + (size ? 0 : at === 5 || at === 8 ? 0.01 : 2), 3) +
    shape.reduce(
      (sum, size) => sum + (size && "channels" in size ? (32 - size.channels) / 100 : 0),
      0,
    );
  const { result } = await search([], cheap);
  assert.equal(result.state.shape[5], null);
  assert.equal(result.state.shape[8], null);
});

Deno.test("table: a run that was cut off anywhere decides the same, and fits nothing that is scored", async () => {
  const whole = await search();
  for (let cut = 0; cut < whole.lines.length; cut += 3) {
    const resumed = await search(whole.lines.slice(0, cut));
    assert.deepEqual(resumed.lines, whole.lines, `cut off after ${cut} lines`);
    assert.deepEqual(resumed.result, whole.result);
  }
  const again = await search(whole.lines);
  assert.equal(again.scorer.scored, 0);
  assert.deepEqual(again.fitter.asked, []);
});
