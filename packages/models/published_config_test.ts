import { denseShape, type Shape } from "@lopper/core";
import assert from "node:assert/strict";
import { parsePlanFile } from "./plan_json.ts";
import {
  fromPublishedConfig,
  publishedConfigToJson,
  toPublishedConfig,
} from "./published_config.ts";
import { architectureOfLayers } from "./testing/mod.ts";

const LAYER = { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 64 } };
const ARCHITECTURE = architectureOfLayers([LAYER, LAYER, LAYER], { headDim: 16 });
const DENSE = denseShape(ARCHITECTURE.blocks);

Deno.test("published config: the layout of the published tool, and back", () => {
  const shape: Shape = [null, { channels: 32 }, { kvGroups: 1 }, { channels: 64 }, {
    kvGroups: 2,
  }, null];
  const order = [{ layer: 2, kind: "mlp" }, { layer: 0, kind: "attention" }];
  const config = toPublishedConfig(ARCHITECTURE, shape, order);
  assert.deepEqual(config, {
    pruned_attn_idx: [0],
    pruned_mlp_idx: [2],
    pruned_attn_width: { 0: 64, 1: 32, 2: 64 },
    pruned_mlp_width: { 0: 32, 1: 64, 2: 64 },
  });
  const text = publishedConfigToJson(config);
  assert.equal(text, JSON.stringify(config, null, 4));
  const parsed = parsePlanFile(text, "c");
  assert.ok(parsed.kind === "published");
  assert.deepEqual(fromPublishedConfig(ARCHITECTURE, parsed.config, "c"), shape);
});

Deno.test("published config: removed layers keep the order of removal", () => {
  const shape = DENSE.map((size, i) => i % 2 === 0 ? null : size);
  const order = [2, 0, 1].map((layer) => ({ layer, kind: "attention" }));
  assert.deepEqual(toPublishedConfig(ARCHITECTURE, shape, order).pruned_attn_idx, [2, 0, 1]);
});

Deno.test("published config: a block that the model lacks is gone, and of no width", () => {
  const architecture = architectureOfLayers([{ ...LAYER, mlp: null }, LAYER]);
  const config = toPublishedConfig(architecture, denseShape(architecture.blocks), []);
  assert.deepEqual(config.pruned_mlp_idx, [0]);
  assert.deepEqual(config.pruned_mlp_width, { 0: 0, 1: 64 });
  assert.deepEqual(fromPublishedConfig(architecture, config, "c"), denseShape(architecture.blocks));
});

Deno.test("published config: what does not fit the model is named", () => {
  const good = toPublishedConfig(ARCHITECTURE, DENSE, []);
  const refused = (change: Partial<typeof good>, message: RegExp) =>
    assert.throws(() => fromPublishedConfig(ARCHITECTURE, { ...good, ...change }, "c"), message);
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
