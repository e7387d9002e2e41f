import assert from "node:assert/strict";
import { ropesFromConfig } from "./rope_config.ts";
import { ropeFactor, ropeFrequencies } from "./rope_frequencies.ts";
import { earlierRopeKeys } from "./rope_scaling.ts";
import { ropeSchema } from "./rope_schema.ts";

interface Case {
  readonly what: string;
  readonly config: {
    readonly max_position_embeddings: number;
    readonly original_max_position_embeddings?: number;
    readonly rope_parameters: Record<string, unknown>;
  };
  readonly length: number;
  readonly frequencies: readonly number[];
  readonly factor: number;
}

const { head_dim: headDim, cases } = JSON.parse(
  await Deno.readTextFile(
    new URL("../../tests/fixtures/rope/frequencies.json", import.meta.url),
  ),
) as { readonly head_dim: number; readonly cases: readonly Case[] };

/** A power in float32 may be off by its last bit, which is rounded twice more. */
const RELATIVE = 2.5 * 2 ** -23;

for (const { what, config, length, frequencies, factor } of cases) {
  const { max_position_embeddings: maxPositions, ...json } = config;
  const defaults = { ropeTheta: 7, maxPositions, rotated: 1, headDim };
  const ropeOf = (json: Parameters<typeof ropesFromConfig>[0]) =>
    ropesFromConfig(json, defaults, "config.json")("full_attention");
  const parameters = ropeSchema.parse(json.rope_parameters);
  const rope = ropeOf({ ...json, rope_parameters: parameters });

  Deno.test(`rope: frequencies of ${what} are those of transformers`, () => {
    assert.equal(ropeFactor(rope), factor);
    const found = ropeFrequencies(rope, headDim, length);
    assert.equal(found.length, frequencies.length);
    found.forEach((f, i) => {
      const difference = Math.abs(f / frequencies[i] - 1);
      assert.ok(difference <= RELATIVE, `pair ${i}: ${f} and ${frequencies[i]}`);
    });
  });

  Deno.test(`rope: ${what} under the keys of earlier readers is the same`, () => {
    const keys = earlierRopeKeys(rope);
    const scaling = keys.rope_scaling && ropeSchema.parse(keys.rope_scaling);
    assert.deepEqual(ropeOf({ ...keys, rope_scaling: scaling }), rope);
  });
}

const REFUSED: readonly [settings: Record<string, unknown>, message: RegExp][] = [
  [{ rope_type: "dynamic", factor: 2 }, /rope scaling is "dynamic"; .* yarn and longrope/],
  [{ rope_type: "proportional" }, /rope scaling is "proportional"/],
  [{ rope_type: "yarn" }, /"yarn" lacks factor/],
  [{ rope_type: "longrope", long_factor: [1] }, /"longrope" lacks short_factor/],
  [
    { rope_type: "longrope", short_factor: [1, 1], long_factor: [1] },
    /has a long_factor of 1 numbers; Lopper needs 2, one a pair/,
  ],
  [{ rope_type: "longrope", short_mscale: 1.2 }, /has short_mscale; .* one factor/],
];

for (const [settings, message] of REFUSED) {
  Deno.test(`rope: ${JSON.stringify(settings)} is refused by name`, () => {
    const rope_parameters = ropeSchema.parse(settings);
    const defaults = { ropeTheta: 7, maxPositions: 64, rotated: 1, headDim: 4 };
    assert.throws(() => ropesFromConfig({ rope_parameters }, defaults, "config.json"), message);
  });
}

Deno.test("rope: layers of each type have settings of their own", () => {
  const rope_parameters = ropeSchema.parse({
    full_attention: { rope_type: "yarn", rope_theta: 9, factor: 2 },
    sliding_attention: { rope_theta: 5, partial_rotary_factor: 0.5 },
  });
  const defaults = { ropeTheta: 7, maxPositions: 64, rotated: 1, headDim: 8 };
  const ropes = ropesFromConfig({ rope_parameters }, defaults, "config.json");
  const full = ropes("full_attention");
  assert.deepEqual([full.theta, full.scaling?.type, full.channels], [9, "yarn", undefined]);
  assert.deepEqual(ropes("sliding_attention"), { theta: 5, scaling: null, channels: 4 });
});
