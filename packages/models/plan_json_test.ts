import { type ModelSpec, PlanError, type PrunePlan } from "@lopper/core";
import {
  fromPublishedConfig,
  parsePlanFile,
  planToJson,
  publishedConfigToJson,
  toPublishedConfig,
} from "./plan_json.ts";
import assert from "node:assert/strict";

const SPEC = {
  headDim: 16,
  layers: Array.from({ length: 3 }, () => ({
    attention: { queryHeads: 4, kvHeads: 2 },
    mlp: { intermediateSize: 64 },
  })),
} as unknown as ModelSpec;

const PLAN: PrunePlan = {
  modelDigest: `sha256:${"0".repeat(64)}`,
  removalOrder: [{ layer: 2, kind: "mlp" }, { layer: 0, kind: "attention" }],
  layers: [
    { attention: "removed", mlp: { channels: [0, 5, 6] } },
    { attention: { kvGroups: [1] }, mlp: { channels: [1] } },
    { attention: { kvGroups: [0, 1] }, mlp: "removed" },
  ],
};

Deno.test("plan: what is written is read", () => {
  assert.deepEqual(parsePlanFile(planToJson(PLAN), "p"), { kind: "plan", plan: PLAN });
});

Deno.test("plan: what is wrong is named with its place", () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(
      () => parsePlanFile(text, "p.json"),
      (error) => error instanceof PlanError && message.test(error.message),
    );
  refused("{", /p\.json: not JSON/);
  refused("{}", /p\.json: at kind/);
  refused(planToJson(PLAN).replace("[0,5,6]", "[0,-5]"), /p\.json: at layers\.0\.mlp/);
  refused('{"pruned_attn_idx": [1.5]}', /p\.json: at pruned_attn_idx\.0/);
  refused('{"pruned_attn_idx": [1, 0, 1]}', /p\.json: at pruned_attn_idx: a layer is named twice/);
  refused(planToJson(PLAN).replace('"schema"', '"kind"'), /p\.json: it has the key "kind" twice/);
  refused(planToJson(PLAN).replace('"schema"', '"__proto__"'), /it has a key __proto__/);
  refused(planToJson(PLAN).replace("[0,5,6]", "[0,1e999]"), /p\.json: it has the number 1e999/);
  refused(
    planToJson(PLAN).replace("[0,5,6]", "[".repeat(99) + "]".repeat(99)),
    /nested more than 64 deep/,
  );
  const published = publishedConfigToJson(toPublishedConfig(SPEC, SPEC.layers, []));
  refused(published.replace('"1":', '"01":'), /p\.json: at pruned_attn_width/);
  refused(published.replace('"1":', '"0":'), /it has the key "0" twice/);
  refused(published.replace('"1":', '"constructor":'), /p\.json: at pruned_attn_width/);
});

Deno.test("published config: the layout of the published tool, and back", () => {
  const layers = [
    { attention: null, mlp: { intermediateSize: 32 } },
    { attention: { queryHeads: 2, kvHeads: 1 }, mlp: { intermediateSize: 64 } },
    { attention: { queryHeads: 4, kvHeads: 2 }, mlp: null },
  ];
  const config = toPublishedConfig(SPEC, layers, PLAN.removalOrder);
  assert.deepEqual(config, {
    pruned_attn_idx: [0],
    pruned_mlp_idx: [2],
    pruned_attn_width: { 0: 64, 1: 32, 2: 64 },
    pruned_mlp_width: { 0: 32, 1: 64, 2: 64 },
  });
  const text = publishedConfigToJson(config);
  assert.equal(text, JSON.stringify(config, null, 4));
  const parsed = parsePlanFile(text, "c");
  assert.equal(parsed.kind, "published");
  assert.deepEqual(
    parsed.kind === "published" && fromPublishedConfig(SPEC, parsed.config, "c"),
    layers,
  );
});

Deno.test("published config: removed layers keep the order of removal", () => {
  const layers = SPEC.layers.map((layer) => ({ ...layer, attention: null }));
  const order = [2, 0, 1].map((layer) => ({ layer, kind: "attention" as const }));
  assert.deepEqual(toPublishedConfig(SPEC, layers, order).pruned_attn_idx, [2, 0, 1]);
});

Deno.test("published config: what does not fit the model is named", () => {
  const good = toPublishedConfig(SPEC, SPEC.layers, []);
  const refused = (change: Partial<typeof good>, message: RegExp) =>
    assert.throws(() => fromPublishedConfig(SPEC, { ...good, ...change }, "c"), message);
  refused({ pruned_attn_idx: [3] }, /c: pruned_attn_idx names layer 3; the model has 3 layers/);
  refused(
    { pruned_attn_width: { 0: 48, 1: 64, 2: 64 } },
    /layer 0 keeps 48 .*multiple of 32 up to 64/,
  );
  refused({ pruned_mlp_width: { 0: 65, 1: 64, 2: 64 } }, /layer 0 keeps 65 MLP channels/);
  refused({ pruned_mlp_width: { 0: 64, 1: 64 } }, /no width for layer 2/);
  // of what goes, too, the width that it had is told
  refused(
    { pruned_attn_idx: [0], pruned_attn_width: { 0: 96, 1: 64, 2: 64 } },
    /layer 0 keeps 96 query channels/,
  );
  refused(
    { pruned_mlp_idx: [1], pruned_mlp_width: { 0: 64, 1: 65, 2: 64 } },
    /layer 1 keeps 65 MLP channels/,
  );
});
