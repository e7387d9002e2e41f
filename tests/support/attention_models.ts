import type { AttentionCase } from "@lopper/backends/testing";
import type { Architecture, Block } from "@lopper/core";
import {
  fromFloat32,
  MemoryFolder,
  MemorySink,
  openTensorStore,
  type TensorEntry,
  writeSafetensors,
} from "@lopper/formats";
import { declaredTensors, FAMILIES, type Family, type Model } from "@lopper/models";
import { architectureOfLayers } from "@lopper/models/testing";
import { bindWeights } from "../../packages/models/model.ts";
import type { Random } from "./tiny_models.ts";

const LAYERS = 3;

/**
 * A small model in memory whose attention is that of a case in its first layer and in its last one,
 * there without a window, and rotates by other angles in between. No family describes it.
 */
export async function attentionModel(of: AttentionCase, random: Random): Promise<Model> {
  const architecture = architectureOf(of);
  const family = familyOf(architecture);
  const entries = declaredTensors(architecture, family).map(({ name, shape }): TensorEntry => {
    const count = shape.reduce((a, b) => a * b, 1);
    const center = name.includes("norm") ? 1 : 0;
    const spread = shape.length === 2 ? 1.7 / Math.sqrt(shape[1]) : 0.4;
    const values = Float32Array.from(
      { length: count },
      () => center + spread * (2 * random.unit() - 1),
    );
    const bytes = fromFloat32("F32", values);
    return { name, dtype: "F32", shape, data: () => Promise.resolve(bytes) };
  });
  const sink = new MemorySink();
  await writeSafetensors(sink, entries);
  await sink.commit();
  const folder = new MemoryFolder("attention", { "model.safetensors": sink.bytes });
  const store = await openTensorStore(folder);
  return {
    ...{ name: "attention", folder, architecture, family, store, notes: [] },
    stored: { quantised: null, whole: null },
    config: { model_type: "llama", num_hidden_layers: LAYERS },
    weights: bindWeights(architecture, family, store, folder.name),
    weightBytes: sink.bytes.length,
    [Symbol.dispose]: () => store.close(),
  };
}

function architectureOf(
  { queryHeads, kvHeads, variety = {}, change = (block) => block }: AttentionCase,
): Architecture {
  const layer = { attention: { queryHeads, kvHeads }, mlp: { intermediateSize: 13 } };
  const plain = architectureOfLayers(new Array(LAYERS).fill(layer), {
    ...{ hiddenSize: 20, headDim: 16, vocabSize: 41 },
    ...variety,
  });
  const blocks = plain.blocks.map((block): Block => {
    if (!block.attention) return block;
    const attention = { ...block.attention, ...block.layer > 0 && { window: null } };
    if (block.layer !== 1) return change({ ...block, attention });
    const rope = attention.rope && { ...attention.rope, theta: 300 };
    return change({ ...block, attention: { ...attention, rope } });
  });
  return { ...plain, blocks };
}

/** Names for the weights that no model of Llama's family has. */
function familyOf({ blocks }: Architecture): Family {
  const llama = FAMILIES.find(({ modelType }) => modelType === "llama")!;
  return {
    ...llama,
    blocks: llama.blocks.map((template) => {
      const known = template.weights;
      const others = blocks.filter(({ kind }) => kind === template.kind)
        .flatMap(({ weights }) => weights).filter(({ name }) => !Object.hasOwn(known, name))
        .map(({ name }) => [name, { tensor: `self_attn.${name}`, axes: [] }]);
      return { ...template, weights: { ...known, ...Object.fromEntries(others) } };
    }),
  };
}
