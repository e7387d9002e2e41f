import assert from "node:assert/strict";
import { prefixTree, writeMask } from "./prefix_tree.ts";

Deno.test("prefix tree: what requests share is there once, and a last token is only predicted", () => {
  const tree = prefixTree([
    { tokens: [5, 6, 7, 8], scored: 2 },
    { tokens: [5, 6, 7, 9, 1], scored: 3 },
    { tokens: [5, 6, 4], scored: 1 },
  ]);
  assert.deepEqual(tree.tokens, [5, 6, 7, 9]);
  assert.deepEqual(tree.parents, [-1, 0, 1, 2]);
  assert.deepEqual(tree.positions, [0, 1, 2, 3]);
  assert.equal(tree.chain, true);
  assert.deepEqual(tree.predictions, [
    { request: 0, node: 1, token: 7 },
    { request: 1, node: 1, token: 7 },
    { request: 2, node: 1, token: 4 },
    { request: 0, node: 2, token: 8 },
    { request: 1, node: 2, token: 9 },
    { request: 1, node: 3, token: 1 },
  ]);
});

Deno.test("prefix tree: branches do not see each other, and a window hides what is far above", () => {
  const tree = prefixTree([
    { tokens: [5, 6, 7, 0], scored: 1 },
    { tokens: [5, 8, 9, 0], scored: 1 },
  ]);
  assert.deepEqual(tree.parents, [-1, 0, 1, 0, 3]);
  assert.deepEqual(tree.positions, [0, 1, 2, 1, 2]);
  assert.equal(tree.chain, false);
  const maskOf = (window: number | null) => {
    const mask = new Float32Array(36).fill(-1);
    writeMask(tree, window, mask, 6);
    return Array.from({ length: 6 }, (_, i) => [...mask.subarray(6 * i, 6 * i + 6)]);
  };
  assert.deepEqual(maskOf(null), [
    [0, -1, -1, -1, -1, -1],
    [0, 0, -1, -1, -1, -1],
    [0, 0, 0, -1, -1, -1],
    [0, -1, -1, 0, -1, -1],
    [0, -1, -1, 0, 0, -1],
    [-1, -1, -1, -1, -1, -1],
  ]);
  assert.deepEqual(maskOf(2).slice(0, 5), [
    [0, -1, -1, -1, -1, -1],
    [0, 0, -1, -1, -1, -1],
    [-1, 0, 0, -1, -1, -1],
    [0, -1, -1, 0, -1, -1],
    [-1, -1, -1, 0, 0, -1],
  ]);
});
