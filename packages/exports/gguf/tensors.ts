import { type Block, type FloatDType, haveWeight, shapeOfWeight } from "@lopper/core";
import {
  BLOCK_GRIDS,
  encodeBlocks,
  type GgufTensorEntry,
  type GridName,
  isQuantised,
  tensorBytes,
  type TensorTypeName,
} from "@lopper/formats";
import {
  areInterleaved,
  blocksOfLayers,
  type GgufArchitecture,
  ggufTensorName,
  hasShiftedGains,
  isGain,
  isRotated,
  type LayerSizes,
  type Model,
  type Weight,
} from "@lopper/models";
import { convertedTensor } from "../convert.ts";
import { checkHalfRange } from "../half_range.ts";
import { unitRowsStore } from "../unit_rows.ts";
import { ZERO_HEADS, zeroWidth } from "./architecture.ts";
import { interleavedRows } from "./interleaved.ts";
import type { KeptTensor } from "./kept_quantised.ts";
import type { GgufLayer } from "./layers.ts";
import { packed, packedName } from "./packed.ts";
import { factorTensors } from "./rope.ts";
import { typeOfMatrix, typeOfRows } from "./tensor_type.ts";

/** What matrices are stored as. */
export interface MatrixTypes {
  readonly type: TensorTypeName;
  /** Those that are copied as they are, by the names of weights. */
  readonly kept: ReadonlyMap<string, KeptTensor>;
  /** The blocks of a matrix that is not rounded to the nearest; null where it is. */
  readonly rounded?: (weight: Weight) => Promise<Uint8Array | null>;
}

/**
 * The tensors of a file, lazily. Vectors are F32, which is all that
 * llama.cpp computes norms in. While one is read, it is in memory as it lies in the checkpoint, in
 * float32, and as it is written.
 */
export function ggufTensors(
  model: Model,
  arch: GgufArchitecture,
  layers: readonly GgufLayer[],
  { type, kept, rounded }: MatrixTypes,
): readonly GgufTensorEntry[] {
  const { architecture, weights, store } = model;
  const outer = (part: string) => weights.filter(({ role }) => role.part === part);
  const entries = (found: readonly Weight[], layer = 0) =>
    packed(found, arch, layer, (weight) => {
      const unit = architecture.scaling?.unitHead && weight.role.part === "lmHead";
      const from = unit ? { ...model, store: unitRowsStore(store, weight.tensor) } : model;
      const matrices = { type, rounded };
      const entry = weightTensor(from, weight, layer, arch, matrices);
      return { ...entry, ...kept.get(weight.tensor.name) };
    });
  // llama.cpp makes slopes from the number of heads.
  const block = ({ layer, kind }: Block) =>
    weights.filter(({ role }) =>
      "layer" in role && role.part === kind && role.layer === layer && role.weight !== "slopes"
    );
  return [
    ...entries(outer("embedding")),
    ...entries(outer("positions")),
    ...factorTensors(model),
    ...layers.flatMap(({ attention, mlp }, layer) => [
      ...(attention === null
        ? []
        : attention === "zero"
        ? zeroBlock(model, { layer, sizes: ZERO_ATTENTION }, arch, type)
        : entries(block(attention), layer)),
      ...(mlp === "zero"
        ? zeroBlock(model, { layer, sizes: zeroMlp(type) }, arch, type)
        : entries(block(mlp), layer)),
    ]),
    ...entries(outer("finalNorm")),
    ...entries(outer("finalNormBias")),
    ...(architecture.tiedEmbeddings ? [] : entries(outer("lmHead"))),
    ...entries(outer("lmHeadBias")),
  ];
}

function weightTensor(
  { store, architecture }: Model,
  weight: Weight,
  layer: number,
  arch: GgufArchitecture,
  { type: matrices, rounded }: Omit<MatrixTypes, "kept">,
): GgufTensorEntry {
  const { role, tensor } = weight;
  const name = packedName(arch, role, layer) ?? ggufTensorName(arch, role, layer);
  const type = typeOfMatrix(weight, architecture.tiedEmbeddings, matrices);
  const { shape } = tensor;
  const headRows = areInterleaved(arch, architecture) && isRotated(role) ? architecture.headDim : 0;
  const shifted = hasShiftedGains(architecture) && isGain(role);
  const data = async () => {
    const bytes = await encoded();
    return headRows > 0 ? interleavedRows(bytes, bytes.length / shape[0], headRows) : bytes;
  };
  const encoded = async () => {
    if (shifted) {
      const gains = (await store.readFloat32(tensor.name)).map((weight) => 1 + weight);
      return new Uint8Array(gains.buffer);
    }
    if (type === "F32" || type === "F16") {
      return await convertedTensor(store, tensor, type satisfies FloatDType).data();
    }
    const values = await store.readFloat32(tensor.name);
    const grid = type as GridName;
    checkHalfRange(tensor, values, grid);
    return await rounded?.(weight) ?? encodeBlocks(BLOCK_GRIDS[grid], values);
  };
  return { name, type, shape, data };
}

/** Of layers that have a block that adds nothing, and no other. */
const ZERO_ATTENTION: LayerSizes = {
  attention: { queryHeads: ZERO_HEADS, kvHeads: ZERO_HEADS },
  mlp: null,
};
const zeroMlp = (type: TensorTypeName): LayerSizes => ({
  attention: null,
  mlp: { intermediateSize: zeroWidth(isQuantised(type)) },
});

/** Of an attention that adds nothing, whatever it sees. */
const UNSEEN = { scale: 1, rope: null, window: null, softCap: null };

/** What a model has of what blocks may have, by a weight of theirs. */
const TRAITS = [
  ["qkvBias", "q_bias"],
  ["outputBias", "o_bias"],
  ["mlpBias", "up_bias"],
  ["qkNorm", "q_norm"],
] as const;

/**
 * A block that adds nothing, as small as one can be: its matrices and biases are zeros, the gains
 * of its norms ones. It has the weights of the model's other blocks, by which readers go.
 */
function zeroBlock(
  { architecture: { hiddenSize, headDim, blocks }, family }: Model,
  { layer, sizes }: { readonly layer: number; readonly sizes: LayerSizes },
  arch: GgufArchitecture,
  type: TensorTypeName,
): readonly GgufTensorEntry[] {
  const traits = new Set(
    TRAITS.flatMap(([trait, weight]) => haveWeight(blocks, weight) ? [trait] : []),
  );
  const common = { hiddenSize, headDim, traits, attention: [UNSEEN] };
  const [block] = blocksOfLayers(family, common, [sizes]);
  const weights = block.weights.map(({ name }) => ({
    role: { part: block.kind, layer, weight: name },
    shape: shapeOfWeight(block, name),
  }));
  return packed(weights, arch, layer, ({ role, shape }) => {
    const name = packedName(arch, role, layer) ?? ggufTensorName(arch, role, layer);
    if (shape.length > 1) return zeroTensor(name, shape, type);
    return isGain(role) ? onesTensor(name, shape[0]) : zeroTensor(name, shape, "F32");
  });
}

function onesTensor(name: string, length: number): GgufTensorEntry {
  const data = () => Promise.resolve(new Uint8Array(new Float32Array(length).fill(1).buffer));
  return { name, type: "F32", shape: [length], data };
}

function zeroTensor(name: string, shape: readonly number[], wanted: TensorTypeName) {
  const type = typeOfRows(wanted, shape.at(-1)!);
  // Bytes of zeros are zeros in every type: a block with a scale of zero.
  const data = () => Promise.resolve(new Uint8Array(tensorBytes({ type, shape })));
  return { name, type, shape, data };
}
