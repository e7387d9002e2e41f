import { countParameters, LopperError } from "@lopper/core";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { FAMILIES } from "./families/mod.ts";
import { declaredTensors } from "./model.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

const { attributes }: { attributes: Record<string, Record<string, unknown>> } = JSON.parse(
  await Deno.readTextFile(new URL("../../tests/fixtures/config_attributes.json", import.meta.url)),
);
const KEYS = [
  ...new Set([
    ...Object.values(attributes).flatMap(Object.keys),
    ...FAMILIES.flatMap(({ keys = {} }) => Object.values(keys).filter((key) => key !== null)),
    ...["rope_scaling", "rope_theta", "rope_local_base_freq", "partial_rotary_factor"],
    ...["per_layer_config", "lopper", "model_type", "text_config", "quantization_config"],
  ]),
];
const SIZES = {
  vocab_size: 24,
  hidden_size: 32,
  intermediate_size: 16,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};

const ropes = fc.record({
  rope_type: fc.constantFrom("default", "linear", "llama3", "yarn", "longrope", "dynamic", 3),
  rope_theta: fc.constantFrom(10_000, 0, -1, "x", null),
  factor: fc.constantFrom(2, 0.5, 0, "x", null),
  alpha: fc.constantFrom(1000, 0, "x", null),
  low_freq_factor: fc.constantFrom(1, 0, null),
  high_freq_factor: fc.constantFrom(4, 1, null),
  original_max_position_embeddings: fc.constantFrom(32, 0, 1.5, null),
  partial_rotary_factor: fc.constantFrom(0.5, 0.3, 2, 0, -1, null),
  short_factor: fc.constantFrom([1, 1], [1, 1, 1, 1], [], "x", null),
  long_factor: fc.constantFrom([1, 1], [2, 2, 2, 2], [-1], null),
}, { requiredKeys: [] });
const types = fc.constantFrom("full_attention", "sliding_attention", "chunked_attention", 1, null);
const value = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1, 1, 2, 3, 4, 6, 8, 0.25, 1.5, 1e9, -0.5, 1e300),
  fc.constantFrom("", "relu", "gelu", "silu", "mish", "full_attention", "llama"),
  fc.array(types, { maxLength: 4 }),
  fc.array(fc.constantFrom(0, 1, 2, -1, "x"), { minLength: 3, maxLength: 3 }),
  ropes,
  fc.dictionary(fc.constantFrom("full_attention", "sliding_attention", "other"), ropes),
  fc.dictionary(
    fc.constantFrom("0", "1", "7", "x"),
    fc.dictionary(fc.constantFrom(...KEYS, "skip"), fc.constantFrom(1, 2, null, ["mlp"], "x")),
  ),
);
const config = fc.tuple(
  fc.constantFrom(...FAMILIES.map(({ modelType }) => modelType)),
  fc.dictionary(fc.constantFrom(...KEYS), value, { minKeys: 1, maxKeys: 3 }),
).map(([model_type, changes]): Record<string, unknown> => {
  const { keys = {} } = FAMILIES.find(({ modelType }) => modelType === model_type)!;
  const own = Object.entries(SIZES).flatMap(([key, size]) => {
    const name = key in keys ? keys[key] : key;
    return name === null ? [] : [[name, size]];
  });
  return { model_type, ...Object.fromEntries(own), ...changes };
});

Deno.test("config: 10,000 mutated ones of all families are each a model, or one sentence", () => {
  let models = 0;
  fc.assert(
    fc.property(config, (json) => {
      try {
        const checked = checkConfig(json, "config.json");
        const { architecture, family } = architectureFromConfig(checked, "config.json");
        const tensors = declaredTensors(architecture, family);
        assert.equal(new Set(tensors.map(({ name }) => name)).size, tensors.length);
        const sizes = tensors.map(({ shape }) => shape.reduce((product, n) => product * n, 1));
        assert.ok(sizes.every((size) => size > 0));
        const stored = sizes.reduce((sum, size) => sum + size, 0);
        const { total } = countParameters(architecture);
        if (Number.isSafeInteger(stored)) assert.equal(stored, total);
        models += 1;
      } catch (error) {
        if (!(error instanceof LopperError)) throw error;
        assert.match(error.message, /^config\.json: [^\n]+$/);
        assert.ok(error.message.length < 700, `${error.message.length} characters`);
      }
    }),
    { numRuns: 10_000 },
  );
  assert.ok(models > 2000 && models < 8000, `${models} were models`);
});

/** What makes a family reckon with other keys. */
const REASONS = {
  rotary_dim: 8,
  rope_scaling: { rope_type: "dynamic", alpha: 1000 },
  block_configs: [{ attention: { n_heads_in_group: 2 }, ffn: { ffn_mult: 1 } }],
};

Deno.test("config: an object where a number belongs converts itself nowhere", () => {
  // As JSON may have it: `Number` calls what stands under these names.
  const inconvertible = JSON.parse('{"valueOf": 1, "toString": 1}');
  const reckoned = ["head_dim", "hidden_size", "num_attention_heads", "rope_theta"];
  const types = [...FAMILIES.map(({ modelType }) => modelType), "nemotron-nas"];
  for (const model_type of types) {
    for (const key of reckoned) {
      const json = { model_type, ...SIZES, ...REASONS, [key]: inconvertible };
      try {
        const checked = checkConfig(json, "config.json");
        architectureFromConfig(checked, "config.json");
      } catch (error) {
        if (!(error instanceof LopperError)) {
          throw new Error(`${model_type}, ${key}`, { cause: error });
        }
        assert.match(error.message, /^config\.json: [^\n]+$/);
      }
    }
  }
});
