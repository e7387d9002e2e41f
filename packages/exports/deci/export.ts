import { DTYPE_BYTES, ExportError, type FloatDType, fullyAttended } from "@lopper/core";
import { type OpenSink, type TensorEntry, writeJson, writeText } from "@lopper/formats";
import {
  blockTensorName,
  copyCompanions,
  DECI_MODEL_TYPE,
  deciMultiplier,
  earlierRopeKeys,
  type Model,
  plainConfig,
  type Weight,
} from "@lopper/models";
import { convertedTensor } from "../convert.ts";
import type { WrittenExport } from "../export.ts";
import { DTYPE_NAMES, type SafetensorsExportOptions, writeWeights } from "../safetensors_export.ts";
import CONFIGURATION from "../transformers/configuration_decilm.py" with { type: "text" };
import { type DeciLayer, type DeciShape, deciShape } from "./layers.ts";

/**
 * Writes a model in DeciLM's layout, which vLLM and mlx-lm have for models whose layers differ. Heads and channels are
 * filled up with zeros to the shapes that it knows (`deciShape`), which changes no result. One tensor is in memory at a time;
 * config.json is written last.
 * @throws {ExportError} when the layout cannot hold the model, or a value does not fit into the dtype.
 */
export async function exportDeci(
  model: Model,
  open: OpenSink,
  { dtype, maxShardBytes }: SafetensorsExportOptions = {},
): Promise<WrittenExport> {
  checkDeci(model);
  const shape = deciShape(model.spec);
  const entries = [
    ...outer(model, "embedding", dtype),
    ...shape.layers.flatMap((layer, place) => layerTensors(model, shape, layer, place, dtype)),
    ...outer(model, "finalNorm", dtype),
    ...outer(model, "lmHead", dtype),
  ];
  const files = await writeWeights(entries, open, maxShardBytes);
  files.push(...await copyCompanions(model.folder, open));
  await writeText(open, "configuration_decilm.py", CONFIGURATION);
  files.push("configuration_decilm.py");
  await writeJson(open, "config.json", deciConfig(model, shape, dtype));
  files.push("config.json");
  return { files, customCode: true };
}

/** @throws {ExportError} when the layout cannot hold the model. */
export function checkDeci({ spec, name }: Model) {
  const { qkNorm, placement, biases, layers } = spec;
  const reason = placement === "post"
    ? "norms behind its blocks"
    : qkNorm
    ? "norms of queries and keys"
    : biases.qkv || biases.output || biases.mlp
    ? "biases"
    : fullyAttended(spec) !== null
    ? "a sliding window"
    : layers.every(({ attention, mlp }) => !attention && !mlp)
    ? "no blocks"
    : null;
  if (reason === null) return;
  throw new ExportError(
    `${name}: it has ${reason}, which DeciLM's layout does not know; leave out --layout deci`,
  );
}

/** The config.json under which readers of the layout compute the model. */
function deciConfig(
  { spec, config }: Model,
  { queryHeads, layers }: DeciShape,
  dtype: FloatDType | undefined,
): Record<string, unknown> {
  const { rope_parameters: _, layer_types: __, rope_scaling: ___, torch_dtype, ...plain } =
    plainConfig(config);
  const type = dtype ? DTYPE_NAMES[dtype] : plain.dtype ?? torch_dtype;
  const none = { no_op: true, replace_with_linear: false, sparsify: null };
  const present = { ...none, no_op: false };
  const sinks = {
    num_sink_tokens: null,
    unshifted_sink: false,
    use_prefill_window_in_sink_attention: false,
    window_length: null,
  };
  return {
    ...plain,
    // Of both names of the dtype, vLLM and mlx-lm read this.
    ...(type !== undefined && { torch_dtype: type }),
    model_type: DECI_MODEL_TYPE,
    architectures: ["DeciLMForCausalLM"],
    auto_map: { AutoConfig: "configuration_decilm.DeciLMConfig" },
    num_hidden_layers: layers.length,
    num_attention_heads: queryHeads,
    num_key_value_heads: Math.max(...layers.map(({ attention }) => attention?.kvHeads ?? 1)),
    head_dim: spec.headDim,
    intermediate_size: Math.max(...layers.map(({ mlp }) => mlp?.intermediateSize ?? 1)),
    hidden_act: "silu",
    ...earlierRopeKeys(spec.rope),
    block_configs: layers.map(({ attention, mlp }) => ({
      attention: attention
        ? { ...present, ...sinks, n_heads_in_group: queryHeads / attention.kvHeads }
        : { ...none, ...sinks, n_heads_in_group: null },
      ffn: mlp
        ? { ...present, ffn_mult: deciMultiplier(mlp.intermediateSize, spec.hiddenSize) }
        : { ...none, ffn_mult: null },
    })),
  };
}

function outer(model: Model, part: string, dtype: FloatDType | undefined): TensorEntry[] {
  return model.weights.filter(({ role }) => role.part === part)
    .map(({ tensor }) => convertedTensor(model.store, tensor, dtype ?? tensor.dtype as FloatDType));
}

function layerTensors(
  model: Model,
  { queryHeads }: DeciShape,
  { source, attention, mlp }: DeciLayer,
  place: number,
  dtype: FloatDType | undefined,
): readonly TensorEntry[] {
  const { spec, weights, family } = model;
  const { hiddenSize, headDim } = spec;
  const q = queryHeads * headDim;
  const kv = (attention?.kvHeads ?? 0) * headDim;
  const width = mlp?.intermediateSize ?? 0;
  const shapes: Readonly<Record<string, readonly number[]>> = {
    q: [q, hiddenSize],
    k: [kv, hiddenSize],
    v: [kv, hiddenSize],
    o: [hiddenSize, q],
    gate: [width, hiddenSize],
    up: [width, hiddenSize],
    down: [hiddenSize, width],
    norm: [hiddenSize],
  };
  const nameOf = (kind: "attention" | "mlp", weight: string) =>
    blockTensorName(family, { layer: place, kind }, weight);
  const entries = (kind: "attention" | "mlp") =>
    weights.flatMap((weight) => {
      const { role } = weight;
      if (!("layer" in role) || role.part !== kind || role.layer !== source) return [];
      return [filled(model, weight, nameOf(kind, role.weight), shapes[role.weight], dtype)];
    });
  const type = dtype ?? weights[0].tensor.dtype as FloatDType;
  const zeros = () =>
    (["norm", "q", "k", "v", "o"] as const).map((weight): TensorEntry =>
      zeroTensor(nameOf("attention", weight), shapes[weight]!, type)
    );
  return [
    ...attention?.zero ? zeros() : attention ? entries("attention") : [],
    ...mlp ? entries("mlp") : [],
  ];
}

function zeroTensor(name: string, shape: readonly number[], dtype: FloatDType): TensorEntry {
  const bytes = shape.reduce((product, d) => product * d, DTYPE_BYTES[dtype]);
  return { name, dtype, shape, data: () => Promise.resolve(new Uint8Array(bytes)) };
}

/** A tensor with zeros behind its rows and columns; zeros have the same bytes in every dtype. */
function filled(
  { store }: Model,
  { tensor }: Weight,
  name: string,
  shape: readonly number[],
  dtype = tensor.dtype as FloatDType,
): TensorEntry {
  const entry = convertedTensor(store, tensor, dtype);
  const [rows, columns = 1] = tensor.shape;
  const [allRows, allColumns = 1] = shape;
  if (allRows === rows && allColumns === columns) return { ...entry, name };
  const data = async () => {
    const bytes = await entry.data();
    const [from, to] = [columns * DTYPE_BYTES[dtype], allColumns * DTYPE_BYTES[dtype]];
    const out = new Uint8Array(allRows * to);
    for (let row = 0; row < rows; row++) {
      out.set(bytes.subarray(row * from, (row + 1) * from), row * to);
    }
    return out;
  };
  return { name, dtype, shape, data };
}
