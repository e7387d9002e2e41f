import { PlanError, type PrunePlan } from "@lopper/core";
import { parsePlanFile, planToJson } from "./plan_json.ts";
import { type PublishedConfig, publishedConfigToJson } from "./published_config.ts";
import assert from "node:assert/strict";

/** One of three layers in which everything stays. */
const PUBLISHED: PublishedConfig = {
  pruned_attn_idx: [],
  pruned_mlp_idx: [],
  pruned_attn_width: { 0: 64, 1: 64, 2: 64 },
  pruned_mlp_width: { 0: 64, 1: 64, 2: 64 },
};

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
  const published = publishedConfigToJson(PUBLISHED);
  refused(published.replace('"1":', '"01":'), /p\.json: at pruned_attn_width/);
  refused(published.replace('"1":', '"0":'), /it has the key "0" twice/);
  refused(published.replace('"1":', '"constructor":'), /p\.json: at pruned_attn_width/);
});
