import type { Block } from "@lopper/core";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { ggufLayers, type PlacedBlock } from "./layers.ts";

/** Blocks of layers from letters: A for attention, M for an MLP, a dot for neither. */
function blocksOf(text: string): readonly Block[] {
  return architectureOfLayers(
    text.split(" ").map((layer) => ({
      attention: layer.includes("A") ? { queryHeads: 2, kvHeads: 1 } : null,
      mlp: layer.includes("M") ? { intermediateSize: 10 } : null,
    })),
  ).blocks;
}

/** The result in letters: the layer of a block, z for zeros, a dash for what is left out. */
function placed(text: string): string {
  const letter = (block: PlacedBlock | null) =>
    block === null ? "-" : block === "zero" ? "z" : String(block.layer);
  return ggufLayers(blocksOf(text)).map(({ attention, mlp }) => letter(attention) + letter(mlp))
    .join(" ");
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
