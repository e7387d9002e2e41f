import { type Architecture, type Block, DTYPE_BYTES, sizeOf, weightShape } from "@lopper/core";
import { fromFloat32, type TensorInfo, toFloat32 } from "@lopper/formats";
import type { Model } from "@lopper/models";

export const [HIDDEN, INNER, SHARED, EXPERTS] = [8, 6, 5, 7];
const experts = { dimension: "experts", width: 1 };

/** A mixture of seven experts of which each token goes to three, with all that one may have. */
export const MIXTURE: Block = {
  id: "0.experts",
  layer: 0,
  kind: "experts",
  dimensions: [{ name: "experts", units: EXPERTS }],
  routing: { topK: 3, softmaxOver: "all" },
  weights: [
    { name: "norm", axes: [HIDDEN], norm: true },
    { name: "router", axes: [experts, HIDDEN] },
    { name: "router_bias", axes: [experts] },
    { name: "gate", axes: [experts, INNER, HIDDEN], stacked: true },
    { name: "up", axes: [experts, INNER, HIDDEN], stacked: true },
    { name: "down", axes: [experts, HIDDEN, INNER], stacked: true },
    { name: "gate_bias", axes: [experts, INNER], stacked: true },
    { name: "up_bias", axes: [experts, INNER], stacked: true },
    { name: "down_bias", axes: [experts, HIDDEN], stacked: true },
    { name: "shared_gate", axes: [SHARED, HIDDEN] },
    { name: "shared_up", axes: [SHARED, HIDDEN] },
    { name: "shared_down", axes: [HIDDEN, SHARED] },
    { name: "shared_router", axes: [1, HIDDEN] },
  ],
};

/** A model of these blocks whose store counts what is read of it. */
export function modelOf(
  blocks: readonly Block[],
  valuesOf: (name: string) => Float32Array,
  dtype: "F32" | "BF16",
): { readonly model: Model; readonly reads: { name: string; offset: number }[] } {
  const architecture = {
    ...{ family: "toy", hiddenSize: HIDDEN, headDim: 4, vocabSize: 4, maxPositions: 16 },
    norm: { kind: "rms", eps: 1e-5 },
    ...{ outer: ["finalNorm"], tiedEmbeddings: true, eosTokenIds: [] },
    ...{ layerCount: blocks.length, kinds: ["experts"], blocks },
  } as const satisfies Architecture;
  const bytes = new Map<string, Uint8Array>();
  const weights: Model["weights"][number][] = [];
  const add = (role: Model["weights"][number]["role"], name: string, shape: readonly number[]) => {
    const count = shape.reduce((product, d) => product * d, 1);
    const data = fromFloat32(dtype, valuesOf(name).slice(0, count));
    bytes.set(name, data);
    const place = { file: "toy", offset: 0, byteLength: data.byteLength };
    weights.push({ role, tensor: { name, dtype, shape, ...place } });
  };
  add({ part: "embedding" }, "embedding", [4, HIDDEN]);
  for (const block of blocks) {
    for (const weight of block.weights) {
      const role = { part: block.kind, layer: block.layer, weight: weight.name };
      add(role, `${block.id}.${weight.name}`, weightShape(weight, sizeOf(block)));
    }
  }
  add({ part: "finalNorm" }, "finalNorm", [HIDDEN]);
  const reads: { name: string; offset: number }[] = [];
  const tensors = new Map(weights.map(({ tensor }): [string, TensorInfo] => [tensor.name, tensor]));
  const store = {
    tensors,
    readBytes: (name: string, offset = 0, length?: number) => {
      reads.push({ name, offset: offset / DTYPE_BYTES[dtype] });
      return Promise.resolve(bytes.get(name)!.slice(offset, length && offset + length));
    },
    readFloat32: (name: string) => Promise.resolve(toFloat32(dtype, bytes.get(name)!)),
    readHalves: (name: string) => Promise.resolve(new Uint16Array(bytes.get(name)!.slice().buffer)),
    close: () => {},
  };
  return { model: { architecture, weights, store } as unknown as Model, reads };
}
