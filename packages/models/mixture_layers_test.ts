import { densePlan, planOfKept, type PrunePlan, UnsupportedModelError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import {
  MemoryFolder,
  MemorySink,
  openTensorStore,
  type TensorEntry,
  writeSafetensors,
} from "@lopper/formats";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { ConfigReader } from "./config_reader.ts";
import type { MixtureLayers } from "./families/family.ts";
import {
  firstDense,
  LAYERS_BETWEEN,
  listedTypes,
  SPARSE_STEPS,
} from "./families/mixture_layers.ts";
import type { Model } from "./model.ts";
import { openModel } from "./open_model.ts";
import { writePrunedModel } from "./pruned_model.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const DIGEST = `sha256:${"0".repeat(64)}`;

/** Which of so many layers a config says to have a mixture. */
function mixturesOf(layers: MixtureLayers, config: Record<string, unknown>, count = 5) {
  const reader = new ConfigReader({ num_hidden_layers: count, ...config }, "config.json");
  return Array.from({ length: count }, (_, layer) => layers.has(layer, reader));
}

const pattern = (text: string) => [...text].map((letter) => letter === "x");

Deno.test("mixtures by layer: what configs say", () => {
  const cases: [MixtureLayers, Record<string, unknown>, string][] = [
    [firstDense("first", 2), {}, "..xxx"],
    [firstDense("first", 2), { first: 0 }, "xxxxx"],
    [SPARSE_STEPS, {}, "xxxxx"],
    [SPARSE_STEPS, { decoder_sparse_step: 2, mlp_only_layers: [3] }, ".x..."],
    [LAYERS_BETWEEN, {}, ".xxxx"],
    [LAYERS_BETWEEN, { moe_layer_end_index: 3, moe_layer_interval: 2 }, ".x.x."],
    [listedTypes("types", SPARSE_STEPS), { decoder_sparse_step: 2 }, ".x.x."],
    [
      listedTypes("types", SPARSE_STEPS),
      { types: ["sparse", "dense", "sparse", "dense", "dense"] },
      "x.x..",
    ],
  ];
  for (const [layers, config, wanted] of cases) {
    assert.deepEqual(mixturesOf(layers, config), pattern(wanted), JSON.stringify(config));
  }
});

Deno.test("mixtures by layer: the keys that are written of some layers say it of them, or none does", () => {
  const able = {
    first: firstDense("first", 1),
    steps: SPARSE_STEPS,
    between: LAYERS_BETWEEN,
    types: listedTypes("types", LAYERS_BETWEEN),
  };
  const without: Record<string, string[]> = { first: [], steps: [], between: [], types: [] };
  for (let bits = 0; bits < 32; bits++) {
    const wanted = Array.from({ length: 5 }, (_, layer) => (bits >> layer & 1) === 1);
    for (const [name, layers] of Object.entries(able)) {
      const keys = layers.keys(wanted);
      if (keys) assert.deepEqual(mixturesOf(layers, keys), wanted, JSON.stringify(keys));
      else without[name].push(wanted.map((is) => is ? "x" : ".").join(""));
    }
  }
  assert.deepEqual([without.steps, without.types], [[], []]);
  assert.equal(without.first.length, 32 - 6, "dense ones come first in six");
  assert.equal(
    without.between.length,
    32 - 16,
    "mixtures are neighbours in fifteen, or there are none",
  );
});

const CONFIG = {
  ...{ model_type: "glm4_moe", vocab_size: 64, hidden_size: 32, intermediate_size: 24 },
  ...{ num_hidden_layers: 3, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8 },
  ...{ n_routed_experts: 12, num_experts_per_tok: 2, moe_intermediate_size: 8 },
};

Deno.test("routers: what no router of transformers computes is refused by its key", () => {
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ n_group: 5 }, /n_group is 5; Lopper needs a divisor of 12 experts/],
    [{ n_group: 3, topk_group: 4 }, /topk_group is 4; Lopper needs at most 3, n_group/],
    [
      { n_group: 6, topk_group: 2, num_experts_per_tok: 5 },
      /num_experts_per_tok is 5; Lopper needs at most 4 experts/,
    ],
    [{ first_k_dense_replace: -1 }, /first_k_dense_replace is -1; Lopper needs a whole number/],
    [
      { per_layer_config: { 0: { n_routed_experts: 5 } } },
      /per_layer_config\.0\.num_experts is 5, and the layer has an MLP/,
    ],
  ];
  for (const [change, message] of refused) {
    const describe = () =>
      architectureFromConfig(checkConfig({ ...CONFIG, ...change }, "config.json"), "config.json");
    assert.throws(describe, (error) => {
      assert.ok(error instanceof UnsupportedModelError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  const reader = new ConfigReader({ num_hidden_layers: 1, types: ["dens"] }, "config.json");
  assert.throws(
    () => listedTypes("types", SPARSE_STEPS).has(0, reader),
    /types has "dens"; Lopper knows dense and sparse/,
  );
  const steps = new ConfigReader({ mlp_only_layers: "all" }, "config.json");
  assert.throws(() => SPARSE_STEPS.has(0, steps), /mlp_only_layers is "all"; Lopper needs a list/);
});

/** The config.json of what a plan leaves. */
async function write(model: Model, plan: PrunePlan) {
  const sinks: Record<string, MemorySink> = {};
  await writePrunedModel(model, plan, (file) => Promise.resolve(sinks[file] = new MemorySink()));
  return JSON.parse(new TextDecoder().decode(sinks["config.json"].bytes));
}

Deno.test("further guesses: their tensors are passed over with a line, and what is written has none", async () => {
  const folder = new FileFolder(`${FIXTURES}/glm4_moe`);
  using model = await openModel(folder);
  assert.deepEqual(model.notes, []);
  const stored = new FileFolder(`${FIXTURES}/glm4_moe`);
  const extra = (name: string): TensorEntry => ({
    ...{ name, dtype: "F32", shape: [2] },
    data: () => Promise.resolve(new Uint8Array(8)),
  });
  const store = await openTensorStore(stored);
  const entries = Array.from(store.tensors.values(), ({ name, dtype, shape }): TensorEntry => ({
    ...{ name, dtype, shape },
    data: () => store.readBytes(name),
  }));
  const opened = async (...more: readonly string[]) => {
    const sink = new MemorySink();
    await writeSafetensors(sink, [...entries, ...more.map(extra)]);
    await sink.commit();
    return await openModel(
      new MemoryFolder("m", {
        "config.json": await stored.readBytes("config.json", 1e6),
        "model.safetensors": sink.bytes,
      }),
    );
  };
  using found = await opened("model.layers.3.eh_proj.weight", "model.layers.3.enorm.weight");
  assert.deepEqual(found.notes, [
    "model.layers.3.eh_proj.weight and 1 more tensors guess further tokens than the next: they are passed over, and what is " +
    "written has none",
  ]);
  const config = await write(found, densePlan(found.architecture, DIGEST));
  assert.equal(config.num_nextn_predict_layers, 0);
  await assert.rejects(opened("model.layers.2.eh_proj.weight"), /does not declare this tensor/);
  store.close();
});

Deno.test("layers with mixtures: where some go whole, the keys of those that stay say which have one", async () => {
  const keysOf = async (fixture: string, gone: readonly number[]) => {
    using model = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
    const { blocks } = model.architecture;
    const kept = blocks.map(({ layer, dimensions: [{ name, units }] }) =>
      gone.includes(layer) ? null : { [name]: Array.from({ length: units }, (_, i) => i) }
    );
    return await write(
      model,
      planOfKept(model.architecture, kept, { modelDigest: DIGEST, removalOrder: [] }),
    );
  };
  const mixed = await keysOf("qwen3_moe-mixed", [1]);
  assert.deepEqual([mixed.num_hidden_layers, mixed.mlp_only_layers], [3, [1]]);
  const steps = await keysOf("qwen2_moe-steps", [0]);
  assert.deepEqual([steps.decoder_sparse_step, steps.mlp_only_layers], [1, [1]]);
  const glm = await keysOf("glm4_moe", [0]);
  assert.deepEqual([glm.num_hidden_layers, glm.first_k_dense_replace], [2, 0]);
  assert.equal(glm.per_layer_config, undefined);
  const dots = await keysOf("dots1", [1]);
  assert.equal(dots.first_k_dense_replace, 1);
});
