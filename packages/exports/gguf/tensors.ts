import { type Block, firstRope, type FloatDType } from "@lopper/core";
import {
  BLOCK_VALUES,
  type GgufTensorEntry,
  quantizeQ4_0,
  quantizeQ8_0,
  tensorBytes,
  type TensorTypeName,
} from "@lopper/formats";
import {
  areInterleaved,
  type GgufArchitecture,
  ggufTensorName,
  hasShiftedGains,
  isGain,
  isRotated,
  type Model,
  ropeFrequencies,
  type Weight,
} from "@lopper/models";
import { convertedTensor } from "../convert.ts";
import { checkHalfRange } from "../half_range.ts";
import { frequencyDivisors, ZERO_HEADS, zeroWidth } from "./architecture.ts";
import { interleavedRows } from "./interleaved.ts";
import type { KeptTensor } from "./kept_quantised.ts";
import type { GgufLayer } from "./layers.ts";
import { packed, packedName } from "./packed.ts";

/** What matrices are stored as. */
export interface MatrixTypes {
  readonly type: TensorTypeName;
  /** Those that are copied as they are, by the names of weights. */
  readonly kept: ReadonlyMap<string, KeptTensor>;
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
  { type, kept }: MatrixTypes,
): readonly GgufTensorEntry[] {
  const { architecture, weights } = model;
  const outer = (part: string) => weights.filter(({ role }) => role.part === part);
  const entries = (found: readonly Weight[], layer = 0) =>
    packed(found, arch, layer, (weight) => {
      const entry = weightTensor(model, weight, layer, arch, type);
      return { ...entry, ...kept.get(weight.tensor.name) };
    });
  const block = ({ layer, kind }: Block) =>
    weights.filter(({ role }) => "layer" in role && role.part === kind && role.layer === layer);
  return [
    ...entries(outer("embedding")),
    ...entries(outer("positions")),
    ...divisorTensor(model),
    ...layers.flatMap(({ attention, mlp }, layer) => [
      ...(attention === null
        ? []
        : attention === "zero"
        ? zeroAttention(model, layer, type)
        : entries(block(attention), layer)),
      ...(mlp === "zero" ? zeroMlp(model, layer, type) : entries(block(mlp), layer)),
    ]),
    ...entries(outer("finalNorm")),
    ...entries(outer("finalNormBias")),
    ...(architecture.tiedEmbeddings ? [] : entries(outer("lmHead"))),
    ...entries(outer("lmHeadBias")),
  ];
}

/**
 * The type of a matrix: rows that are not whole blocks stay F16, and what makes the logits has 8
 * bits at least.
 */
function typeOf({ role, tensor }: Weight, tied: boolean, type: TensorTypeName): TensorTypeName {
  if (tensor.shape.length === 1) return "F32";
  if (type === "F32" || type === "F16") return type;
  if (tensor.shape.at(-1)! % BLOCK_VALUES !== 0) return "F16";
  // llama.cpp gives it 6 bits, of a kind that is not written here, where others have 4.
  const makesLogits = role.part === "lmHead" || (tied && role.part === "embedding");
  return makesLogits ? "Q8_0" : type;
}

function weightTensor(
  { store, architecture }: Model,
  weight: Weight,
  layer: number,
  arch: GgufArchitecture,
  matrices: TensorTypeName,
): GgufTensorEntry {
  const { role, tensor } = weight;
  const name = packedName(arch, role, layer) ?? ggufTensorName(arch, role, layer);
  const type = typeOf(weight, architecture.tiedEmbeddings, matrices);
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
    const bits = type === "Q8_0" ? "Q8_0" : "Q4_0";
    checkHalfRange(tensor, values, bits);
    return bits === "Q8_0" ? quantizeQ8_0(values) : quantizeQ4_0(values);
  };
  return { name, type, shape, data };
}

function divisorTensor({ architecture }: Model): readonly GgufTensorEntry[] {
  const { headDim } = architecture;
  const rope = firstRope(architecture);
  if (!rope) return [];
  const plain = ropeFrequencies({ ...rope, scaling: null }, headDim);
  const divisors = frequencyDivisors(architecture, plain, ropeFrequencies(rope, headDim));
  if (!divisors) return [];
  const data = () => Promise.resolve(new Uint8Array(divisors.buffer));
  return [{ name: "rope_freqs.weight", type: "F32", shape: [divisors.length], data }];
}

/** An attention of one head that adds nothing: its output is multiplied by zeros. */
function zeroAttention(
  { architecture }: Model,
  layer: number,
  type: TensorTypeName,
): readonly GgufTensorEntry[] {
  const { hiddenSize } = architecture;
  const rows = ZERO_HEADS * architecture.headDim;
  const name = (weight: string) => `blk.${layer}.${weight}.weight`;
  return [
    onesTensor(name("attn_norm"), hiddenSize),
    zeroTensor(name("attn_q"), [rows, hiddenSize], type),
    zeroTensor(name("attn_k"), [rows, hiddenSize], type),
    zeroTensor(name("attn_v"), [rows, hiddenSize], type),
    zeroTensor(name("attn_output"), [hiddenSize, rows], type),
  ];
}

/** A feed-forward that adds nothing. */
function zeroMlp(
  { architecture }: Model,
  layer: number,
  type: TensorTypeName,
): readonly GgufTensorEntry[] {
  const { hiddenSize } = architecture;
  const width = zeroWidth(type === "Q8_0" || type === "Q4_0");
  const name = (weight: string) => `blk.${layer}.${weight}.weight`;
  return [
    onesTensor(name("ffn_norm"), hiddenSize),
    zeroTensor(name("ffn_gate"), [width, hiddenSize], type),
    zeroTensor(name("ffn_up"), [width, hiddenSize], type),
    zeroTensor(name("ffn_down"), [hiddenSize, width], type),
  ];
}

function onesTensor(name: string, length: number): GgufTensorEntry {
  const data = () => Promise.resolve(new Uint8Array(new Float32Array(length).fill(1).buffer));
  return { name, type: "F32", shape: [length], data };
}

function zeroTensor(name: string, shape: readonly number[], wanted: TensorTypeName) {
  const fits = wanted === "F32" || shape[1] % BLOCK_VALUES === 0;
  const type = fits ? wanted : "F16" as const;
  // Bytes of zeros are zeros in every type: a block with a scale of zero.
  const data = () => Promise.resolve(new Uint8Array(tensorBytes({ type, shape })));
  return { name, type, shape, data };
}
