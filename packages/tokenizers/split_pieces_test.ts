import assert from "node:assert/strict";
import { type SplitBehavior, splitPieces } from "./split_pieces.ts";

// What the documentation of the tokenizers library shows for each behavior, and what it does
// inverted.
Deno.test("split: what a pattern finds goes, stays, or joins what is beside it", () => {
  const text = "the-final--countdown";
  const cases: [SplitBehavior, boolean, string][] = [
    ["Removed", false, "the final countdown"],
    ["Isolated", false, "the - final - - countdown"],
    ["MergedWithPrevious", false, "the- final- - countdown"],
    ["MergedWithNext", false, "the -final - -countdown"],
    ["Contiguous", false, "the - final -- countdown"],
    ["Removed", true, "- - -"],
    ["Isolated", true, "the - final - - countdown"],
    ["MergedWithPrevious", true, "the -final - -countdown"],
    ["MergedWithNext", true, "the- final- - countdown"],
    ["Contiguous", true, "the - final -- countdown"],
  ];
  for (const [behavior, invert, wanted] of cases) {
    const pieces = splitPieces(text, /-/gu, { behavior, invert });
    assert.equal(pieces.join(" "), wanted, `${behavior} ${invert}`);
  }
});

Deno.test("split: groups and empty matches of a pattern add nothing", () => {
  const isolated = { behavior: "Isolated", invert: false } as const;
  assert.deepEqual(splitPieces("a-b", /(-)/gu, isolated), ["a", "-", "b"]);
  assert.deepEqual(splitPieces("ab", /x*/gu, isolated), ["a", "b"]);
  assert.deepEqual(splitPieces("", /x/gu, isolated), []);
});
