import { Products } from "@lopper/algebra";
import { openReferenceBackend } from "@lopper/backends/reference";
import type { Block } from "@lopper/core";
import { Decoder, KeptStates, LaidOutWeights, Workspace } from "@lopper/runtime";
import assert from "node:assert/strict";
import { EXPERTS, HIDDEN, MIXTURE, modelOf } from "../../tests/support/mixture.ts";
import { errorOf, expertMoments } from "./expert_moments.ts";
import { fittedOf, isFitted } from "./fitted.ts";
import type { Pass } from "./pass.ts";
import { randoms } from "./testing/products.ts";

const [TOKENS, LEFT] = [40, 5];
const values = (count: number, seed: number, around = 0) =>
  randoms(seed)(1, count).data.map((value) => around + value);
const DENSE = [{ experts: EXPERTS }], PRUNED = [{ experts: LEFT }];
const INPUT = { batch: 4, length: TOKENS / 4, data: values(TOKENS * HIDDEN, 3) };

/** Numbers that are random to look at; `router` says how large those of the router are. */
const valuesOf = (router: number) => (name: string) => {
  const seed = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 53;
  const scale = name.includes("router") && !name.includes("shared") ? router : 2;
  return values(EXPERTS * HIDDEN * HIDDEN, seed, name.includes("norm") ? 1 : 0)
    .map((value) => scale * value);
};

/** A mixture before its dense self and after losing its last experts, at the same input. */
async function pairOf(decoder: Decoder) {
  const text = { set: null!, batches: [] };
  const pass = async (block: number, data: Float32Array): Promise<Pass> => {
    const states = new KeptStates(new Workspace());
    await states.put(0, { ...INPUT, data });
    return { text, block, states };
  };
  const dense = await decoder.runBlock(0, DENSE, INPUT);
  return { dense: await pass(1, dense.data), pruned: await pass(0, INPUT.data) };
}

async function mixture(
  block: Block,
  router: number,
  check: (decoder: Decoder, products: Products) => Promise<void>,
) {
  await using backend = await openReferenceBackend();
  const { model } = modelOf([block], valuesOf(router), "F32");
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const products = new Products(backend);
  await check(decoder, products);
  await products.dispose();
}

const squares = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

/** Of which no token goes to those that go: their share of the softmax alone is missing. */
const EVEN: Block = { ...MIXTURE, multiplier: 0.5 };

Deno.test("expert scales: where experts go that no token went to, those that stay are scaled to what they added", () =>
  mixture(EVEN, 0, async (decoder, products) => {
    const pair = await pairOf(decoder);
    const before = await decoder.runBlock(0, PRUNED, INPUT);
    const lost = squares((await pair.dense.states.read(0)).data, before.data);
    assert.ok(lost > 1e-3, `${lost}`);
    const model = { decoder, shape: PRUNED, dtypeOf: () => "F32" as const };
    const fitted = fittedOf(model, products, 0);
    const [fit] = await fitted.fits(pair, [1e-6]);
    assert.equal(await fitted.best([fit], pair), fit);
    // All scores are the same: the first ones are chosen, with a weight of one over all.
    const routed = MIXTURE.routing!.topK;
    for (const scale of fit.rows.subarray(0, routed)) {
      assert.ok(Math.abs(scale - LEFT / EXPERTS) < 1e-3, `${scale}`);
    }
    assert.deepEqual([...fit.rows.subarray(routed)], [1, 1], "what no token went to stays");
    await fitted.put(fit.rows);
    const after = await decoder.runBlock(0, PRUNED, INPUT);
    const left = squares((await pair.dense.states.read(0)).data, after.data);
    assert.ok(left < 1e-5 * lost, `${left} of ${lost}`);
  }));

Deno.test("expert scales: the error that moments say is that of the scaled mixture, and the least squares of it", () =>
  mixture(EVEN, 4, async (decoder, products) => {
    const pair = await pairOf(decoder);
    const model = { decoder, shape: PRUNED, dtypeOf: () => "F32" as const };
    const moments = await expertMoments(decoder, PRUNED, pair);
    const fitted = fittedOf(model, products, 0);
    const fits = await fitted.fits(pair, [1e-6, 0.1, 1]);
    const errors: number[] = [];
    for (const { rows, change } of fits) {
      const old = await fitted.put(rows);
      const { data } = await decoder.runBlock(0, PRUNED, INPUT);
      // What is added is multiplied.
      const found = squares((await pair.dense.states.read(0)).data, data) / 0.5 ** 2;
      const said = errorOf(moments, change.data);
      assert.ok(Math.abs(found - said) < 1e-3 * moments.missing, `${said}, and is ${found}`);
      errors.push(said);
      await fitted.put(old);
    }
    assert.ok(errors[0] < errors[1] && errors[1] < errors[2] && errors[2] < moments.missing);
    assert.equal(await fitted.best(fits.toReversed(), pair), fits[0]);
    const worse = fits.map((fit) => ({
      ...fit,
      change: { ...fit.change, data: fit.change.data.map((v) => -v) },
    }));
    assert.equal(await fitted.best(worse, pair), null, "none that is worse than without");
  }));

Deno.test("expert scales: none are fitted where a norm lies behind the experts", () => {
  assert.ok(isFitted(MIXTURE));
  for (const placement of ["post", "both"] as const) {
    assert.ok(!isFitted({ ...MIXTURE, placement }));
  }
});
