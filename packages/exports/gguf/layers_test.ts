import type { LayerSpec } from "@lopper/core";
import assert from "node:assert/strict";
import { ggufLayers } from "./layers.ts";

/** Layers from letters: A for attention, M for an MLP, a dot for neither. */
function layersOf(text: string): readonly LayerSpec[] {
  return text.split(" ").map((layer, i) => ({
    attention: layer.includes("A") ? { queryHeads: 2 * (i + 1), kvHeads: i + 1 } : null,
    mlp: layer.includes("M") ? { intermediateSize: 10 * (i + 1) } : null,
  }));
}

/** The result in letters: the layer of a block, 0 for zeros, a dash for what is left out. */
function placed(text: string): string {
  return ggufLayers(layersOf(text)).map(({ attention, mlp }) =>
    [attention, mlp].map((block) =>
      block === null ? "-" : block.source === "zero" ? "z" : String(block.source)
    ).join("")
  ).join(" ");
}

Deno.test("GGUF layers: every trap of llama.cpp has its mend, and the order of blocks stays", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["AM AM", "00 11"],
    // an attention with the next MLP, over dead layers
    ["A M", "01"],
    ["AM A . M AM", "00 13 44"],
    // an attention before another one, or at the end
    ["A AM", "0z 11"],
    ["AM A", "00 1z"],
    ["A A A", "0z 1z 2z"],
    // MLPs by themselves, but for layer 0
    ["AM M M", "00 -1 -2"],
    ["M AM", "z0 11"],
    [". M M", "z1 -2"],
    // dead layers at both ends
    [". AM .", "11"],
    [". .", "zz"],
  ];
  for (const [layers, expected] of cases) assert.equal(placed(layers), expected, layers);
});

Deno.test("GGUF layers: shapes go along", () => {
  assert.deepEqual(ggufLayers(layersOf("A M")), [{
    attention: { source: 0, shape: { queryHeads: 2, kvHeads: 1 } },
    mlp: { source: 1, shape: { intermediateSize: 20 } },
  }]);
});
