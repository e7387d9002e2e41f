import { ResumeError } from "@lopper/core";
import assert from "node:assert/strict";
import type { Ranker } from "./ranker.ts";
import { exhaustive } from "./exhaustive.ts";
import { parseJournal, toJournalLine } from "./journal.ts";
import { competition } from "./competition.ts";
import { searchModelOf } from "./search_model.ts";
import { multiPruner } from "./multi_pruner.ts";
import type { SearchPolicy } from "./policy.ts";
import { FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { tinyArchitecture } from "./testing/tiny_architecture.ts";
import type { RankingLine } from "./journal_lines.ts";

const MODEL = searchModelOf(tinyArchitecture(4));
const COST = { blockTokens: 0, seconds: 0 };

/** Runs a search with a ranker that only writes down what it is asked. */
async function ranked(policy: SearchPolicy, rankings: readonly RankingLine[] = []) {
  const calls: string[] = [];
  const ranker: Ranker = {
    rank: ({ dimension, percent }) => {
      calls.push(`${dimension} ${percent.toFixed(2)}`);
      const ranking = (n: number) => Array.from({ length: n }, (_, i) => n - 1 - i);
      return Promise.resolve({
        chosen: "energy",
        tried: [{ ranking: "l1", nll: [1, NaN] }],
        units: MODEL.blocks.map(({ dimensions: [{ name, units }] }) =>
          name === dimension ? ranking(units) : null
        ),
      });
    },
    apply: ({ dimension }) => {
      calls.push(`apply ${dimension}`);
      return Promise.resolve();
    },
  };
  const scorer = new FakeScorer(() => 1, { batches: [[0], [1]] });
  scorer.release = () => void calls.push("release");
  const options = { picker: exhaustive, units: { ranker } };
  const lines = rankings.map(toJournalLine);
  const { events } = await runSearch(MODEL, policy, scorer, options, lines);
  return { calls, events };
}

const OPTIONS = { ratio: 20, groups: { channels: 4, kvGroups: 8 } };

Deno.test("ranking: stages that narrow blocks begin with one, whose line a resumed run believes", async () => {
  const policy = multiPruner(MODEL, { ...OPTIONS, distribution: [1, 1, 1] });
  const { calls, events } = await ranked(policy);
  const asked = calls.filter((call) => call !== "release");
  assert.equal(asked.length, 4);
  assert.match(asked[0], /^channels \d/);
  assert.equal(asked[1], "apply channels");
  assert.match(asked[2], /^kvGroups \d/);
  for (const call of asked.filter((call) => !call.startsWith("apply"))) {
    assert.equal(calls[calls.indexOf(call) - 1], "release", "kept hidden states are let go before");
  }
  const lines = events.flatMap((event) => event.type === "ranking" ? [event.ranking] : []);
  assert.deepEqual(lines.map(({ stage, dimension }) => [stage, dimension]), [[1, "channels"], [
    2,
    "kvGroups",
  ]]);

  const read = parseJournal(lines.map(toJournalLine), "journal").rankings!;
  assert.deepEqual(read, lines);
  const again = await ranked(policy, read);
  assert.deepEqual(
    again.calls.filter((call) => call !== "release"),
    ["apply channels", "apply kvGroups"],
  );
  assert.ok(again.events.every((event) => event.type !== "ranking" || event.resumed));

  // one that is not of this model is not believed
  for (const units of [lines[0].units.slice(1), lines[0].units.with(0, [0, 0])]) {
    await assert.rejects(ranked(policy, [{ ...lines[0], units }]), (error) => {
      assert.ok(error instanceof ResumeError, String(error));
      assert.match(error.message, /^the journal's ranking of channels for stage 1 is not of this/);
      return true;
    });
  }

  const together = await ranked(competition(MODEL, OPTIONS));
  const ranking = together.calls.filter((call) => call !== "release");
  assert.deepEqual(
    ranking.map((call) => call.replace(/ \d.*/, "")),
    ["channels", "kvGroups", "apply channels", "apply kvGroups"],
    "both are decided on the model as the stage finds it",
  );
});

Deno.test("ranking: a damaged line of the journal is named", () => {
  const line: RankingLine = {
    type: "ranking",
    stage: 1,
    dimension: "channels",
    chosen: "energy",
    tried: [],
    units: [[1, 0], null],
    cost: COST,
  };
  parseJournal([toJournalLine(line)], "j");
  assert.throws(
    () => parseJournal([JSON.stringify({ ...line, chosen: "magic" })], "j"),
    /j, line 1: at chosen/,
  );
});
