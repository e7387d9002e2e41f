import assert from "node:assert/strict";
import { mergesByScore, mergeScores } from "./merge_scores.ts";

const refuse = (what: string): never => {
  throw new Error(what);
};

function table(tokens: readonly string[]) {
  return { tokens, ids: new Map(tokens.map((token, id) => [token, id])) };
}

Deno.test("scores of merges: runs of one character are made by turns, in as many groups as there are scores", () => {
  const runs = [2, 3, 4, 5, 6].map((length) => "▁".repeat(length));
  const { tokens, ids } = table(["▁", "a", "b", ...runs, "ab", "▁a"]);
  // Two groups of runs, with a word between them.
  const scores = [0, 0, 0, -5, -5, -1, -1, -1, -3, -7];
  const merges = mergesByScore(tokens, ids, scores);
  const made = merges.map((pair) => pair.join(""));
  assert.ok(made.indexOf("ab") > made.lastIndexOf(runs[4]));
  assert.ok(made.indexOf("ab") < made.indexOf(runs[0]));
  const found = mergeScores(merges.map(([a, b]) => [a, b]), { tokens, ids }, refuse);
  assert.deepEqual(mergesByScore(tokens, ids, found), merges);
  assert.equal(found[5], found[7]);
  assert.ok(found[5] > found[8] && found[8] > found[3]);
});

Deno.test("scores of merges: merges by turns that compete for a character have none", () => {
  const { tokens, ids } = table(["a", "b", "c", "d", "ab", "bc", "abc", "bcd", "cd"]);
  const apart = ["a b", "b c", "c d", "ab c", "a bc", "bc d", "b cd"];
  const scores = mergeScores(apart, { tokens, ids }, refuse);
  assert.deepEqual(scores.slice(4), [-1, -2, -4, -5, -3]);
  const byTurns = ["a b", "b c", "c d", "ab c", "bc d", "a bc", "b cd"];
  assert.throws(() => mergeScores(byTurns, { tokens, ids }, refuse), /order of its .* merges/);
  assert.throws(() => mergeScores(apart.slice(0, -1), { tokens, ids }, refuse), /"b" and "cd" are/);
});
