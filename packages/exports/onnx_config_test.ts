import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { onnxConfig } from "./onnx_config.ts";

const QWEN = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));

Deno.test("ONNX config: windows are counted among the layers that keep attention", async () => {
  const model = await openModel(new FileFolder(QWEN));
  model[Symbol.dispose]();
  const layer = { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 8 } };
  const architecture = architectureOfLayers([{ ...layer, attention: null }, layer, layer, layer]);
  const written = (windows: Record<string, unknown>) =>
    onnxConfig({
      ...model,
      architecture,
      config: { ...model.config, num_hidden_layers: 4, layer_types: null, ...windows },
    }, {});
  const [full, slides] = ["full_attention", "sliding_attention"];
  const typed = written({ layer_types: [slides, full, slides, full] });
  assert.deepEqual([typed.num_hidden_layers, typed.layer_types], [3, [full, slides, full]]);
  for (const [before, after] of [[0, 0], [1, 0], [2, 1], [4, 3], [28, 3]]) {
    assert.equal(written({ max_window_layers: before }).max_window_layers, after, `${before}`);
  }
});
