import assert from "node:assert/strict";
import { drawNumbers, furtherNumbers } from "./draw.ts";
import { apportioned, drawApart, drawMixed, mixedFurther, type SampleSource } from "./mixture.ts";
import { listOf } from "./sample_list.ts";

const source = (name: string, length: number, weight: number): SampleSource => ({
  samples: listOf(Array.from({ length }, (_, i) => `${name}${i}`)),
  weight,
});
const SOURCES = [source("a", 40, 3), source("b", 30, 1.5), source("c", 90, 0.7)];
const drawnBy = async (...args: Parameters<typeof drawMixed>) =>
  await Array.fromAsync(drawMixed(...args).read());
const validationBy = async (...args: Parameters<typeof mixedFurther>) =>
  await Array.fromAsync(mixedFurther(...args).read());
const countOf = (name: string, samples: readonly string[]) =>
  samples.filter((sample) => sample.startsWith(name)).length;

Deno.test("mixture: shares follow the weights, add up, and never shrink when there is more to share", () => {
  assert.deepEqual(apportioned([1, 1], 10), [5, 5]);
  assert.deepEqual(apportioned([3, 1], 8), [6, 2]);
  assert.deepEqual(apportioned([1000, 1], 2), [2, 0]);
  let before = [0, 0, 0] as readonly number[];
  for (let count = 1; count <= 200; count++) {
    const shares = apportioned([0.5, 0.25, 0.25], count);
    assert.equal(shares.reduce((a, b) => a + b), count);
    assert.ok(shares.every((share, i) => share >= before[i]));
    before = shares;
  }
});

Deno.test("mixture: one source is drawn from as ever", async () => {
  const [a] = SOURCES;
  const named = (numbers: readonly number[]) => numbers.map((n) => `a${n}`);
  assert.deepEqual(await drawnBy([a], 12, 7), named(drawNumbers(40, 12, 7)));
  assert.deepEqual(await validationBy([a], 12, 9, 7), named(furtherNumbers(40, 12, 9, 7)));
});

Deno.test("mixture: each source gives its share, evenly spread, and nothing twice", async () => {
  const drawn = await drawnBy(SOURCES, 52, 1);
  assert.equal(drawMixed(SOURCES, 52, 1).count, 52);
  assert.deepEqual(["a", "b", "c"].map((name) => countOf(name, drawn)), [30, 15, 7]);
  const half = drawn.slice(0, 26);
  assert.ok(Math.abs(countOf("a", half) - 15) <= 1 && Math.abs(countOf("c", half) - 3.5) <= 1);
  const validation = await validationBy(SOURCES, 52, 17, 1);
  assert.equal(new Set([...drawn, ...validation]).size, drawn.length + validation.length);
  // Together with what was drawn, what is kept aside has the shares of the weights, too.
  assert.deepEqual(["a", "b", "c"].map((name) => countOf(name, validation)), [10, 5, 2]);
  const fewer = await drawnBy(SOURCES, 20, 1);
  assert.ok(fewer.every((sample) => drawn.includes(sample)));
});

Deno.test("mixture: a source that has no more gives what it has", async () => {
  const drawn = await drawnBy([source("a", 3, 1), source("b", 50, 1)], 20, 1);
  assert.deepEqual([countOf("a", drawn), countOf("b", drawn)], [3, 10]);
});

Deno.test("mixture: sources apart give what they give mixed", async () => {
  const mixed = await drawnBy(SOURCES, 52, 1);
  const apart = await Promise.all(
    drawApart(SOURCES, 52, 1).map(({ read }) => Array.fromAsync(read())),
  );
  assert.deepEqual(
    apart,
    ["a", "b", "c"].map((name) => mixed.filter((sample) => sample.startsWith(name))),
  );
});
