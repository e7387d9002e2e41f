import assert from "node:assert/strict";
import { comparedFigures } from "./compared_figures.ts";

const NOTHING = { passages: [], tokens: [] };

Deno.test("figures: size and perplexity always, time where it was what was to be saved", () => {
  const both = (dense: number, pruned: number) => ({ dense, pruned });
  const record = {
    parameters: both(5_500_000, 4_400_000),
    bytes: both(11_000_000, 8_800_000),
    latency: null,
    perplexity: { calibration: both(46.681, NaN), heldOut: both(94.86, 95.82) },
    lossIncrease: { calibration: NOTHING, heldOut: NOTHING },
  };
  const told = (of: Parameters<typeof comparedFigures>[0]) =>
    comparedFigures(of).map(({ what, dense, pruned, format }) =>
      [what, format(dense), format(pruned)].join(": ")
    );
  const [parameters, weights, ...perplexities] = told(record);
  assert.deepEqual([parameters, weights], [
    "parameters: 5.50 M: 4.40 M",
    "weights: 11.0 MB: 8.8 MB",
  ]);
  assert.deepEqual(perplexities, [
    "perplexity, calibration text: 46.68: not finite",
    "perplexity, held-out text: 94.86: 95.82",
  ]);
  const texts = [{ name: "code", passages: 8, dense: Math.log(5), pruned: Math.log(7.5) }];
  const several = {
    ...record,
    lossIncrease: { ...record.lossIncrease, heldOut: { ...NOTHING, texts } },
  };
  assert.deepEqual(told(several).slice(4), ["  of it code: 5.00: 7.50"]);
  const latency = {
    target: 10,
    pastTokens: 256,
    predicted: both(20, 10),
    measured: both(128, 0.125),
  };
  assert.deepEqual(told({ ...record, latency }).slice(2, 4), [
    "a token, predicted: 20.0 ms: 10.0 ms",
    "a token, measured: 128 ms: 0.125 ms",
  ]);
});
