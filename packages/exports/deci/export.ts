import {
  type Architecture,
  DTYPE_BYTES,
  ExportError,
  firstRope,
  type FloatDType,
  fullyAttended,
  headsOf,
  innerWidth,
  shapeOfWeight,
} from "@lopper/core";
import { type OpenSink, type TensorEntry, writeJson, writeText } from "@lopper/formats";
import {
  blocksOfLayers,
  blockTensorName,
  copyCompanions,
  DECI_MODEL_TYPE,
  deciMultiplier,
  earlierRopeKeys,
  type Model,
  plainConfig,
  type Weight,
  writeWeights,
} from "@lopper/models";
import { convertedTensor } from "../convert.ts";
import { unlikeLlama } from "../unlike_llama.ts";
import type { WrittenExport } from "../export.ts";
import { DTYPE_NAMES, type SafetensorsExportOptions } from "../safetensors_export.ts";
import CONFIGURATION from "../transformers/configuration_decilm.py" with { type: "text" };
import { type DeciBlock, type DeciLayer, type DeciShape, deciShape } from "./layers.ts";

/**
 * Writes a model in DeciLM's layout, which vLLM and mlx-lm have for models whose layers differ.
 * Heads and channels are filled up with zeros to the shapes that it knows (`deciShape`), which
 * changes no result. One tensor is in memory at a time; config.json is written last.
 * @throws {ExportError} when the layout cannot hold the model, or a value does not fit into the
 *   dtype.
 */
export async function exportDeci(
  model: Model,
  open: OpenSink,
  { dtype, maxShardBytes }: SafetensorsExportOptions = {},
): Promise<WrittenExport> {
  checkDeci(model);
  const shape = deciShape(model.architecture);
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

/** Of an attention that adds nothing. */
const ZERO_KV_HEADS = 1;

/** @throws {ExportError} when the layout cannot hold the model. */
export function checkDeci({ architecture, name }: Model) {
  const reason = unlikeLlama(architecture) ??
    (fullyAttended(architecture) !== null
      ? "a sliding window"
      : architecture.blocks.length === 0
      ? "no blocks"
      : null);
  if (reason === null) return;
  throw new ExportError(
    `${name}: it has ${reason}, which DeciLM's layout does not know; leave out --layout deci`,
  );
}

/** The config.json under which readers of the layout compute the model. */
function deciConfig(
  { architecture, config }: Model,
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
    num_key_value_heads: Math.max(...layers.map(kvHeads)),
    head_dim: architecture.headDim,
    intermediate_size: Math.max(...layers.map(({ mlp }) => mlp ? channels(mlp) : 1)),
    hidden_act: "silu",
    ...ropeKeys(architecture),
    ...longestOfQueries(architecture),
    block_configs: layers.map(({ attention, mlp }) => ({
      attention: attention
        ? { ...present, ...sinks, n_heads_in_group: queryHeads / kvHeads({ attention }) }
        : { ...none, ...sinks, n_heads_in_group: null },
      ffn: mlp
        ? { ...present, ffn_mult: deciMultiplier(channels(mlp), architecture.hiddenSize) }
        : { ...none, ffn_mult: null },
    })),
  };
}

/** Of zeros: whatever they see adds nothing. */
const UNSEEN = { scale: 1, rope: null, window: null, softCap: null };

/** Of a model without attention nothing rotates. */
function ropeKeys(architecture: Architecture) {
  const rope = firstRope(architecture);
  return rope ? earlierRopeKeys(rope) : {};
}

function kvHeads({ attention }: Pick<DeciLayer, "attention">): number {
  if (attention === null || attention === "zero") return ZERO_KV_HEADS;
  return headsOf(attention.block, attention.size).kvHeads;
}

function channels({ block, size }: DeciBlock): number {
  return innerWidth(block, size);
}

function outer(model: Model, part: string, dtype: FloatDType | undefined): TensorEntry[] {
  return model.weights.filter(({ role }) => role.part === part)
    .map(({ tensor }) => convertedTensor(model.store, tensor, dtype ?? tensor.dtype as FloatDType));
}

/** Its readers know no queries that grow: they take texts as long as those do not. */
function longestOfQueries({ blocks, maxPositions }: Model["architecture"]) {
  const lengths = blocks.flatMap(({ attention }) => attention?.queryGrowth?.length ?? []);
  return lengths.length > 0 ? { max_position_embeddings: Math.min(maxPositions, ...lengths) } : {};
}

function layerTensors(
  model: Model,
  shape: DeciShape,
  { attention, mlp }: DeciLayer,
  place: number,
  dtype: FloatDType | undefined,
): readonly TensorEntry[] {
  const entries = ({ block, size }: DeciBlock) =>
    model.weights.flatMap((weight) => {
      const { role } = weight;
      if (!("layer" in role) || role.part !== block.kind || role.layer !== block.layer) return [];
      const name = blockTensorName(model.family, { ...block, layer: place }, role.weight);
      return [filled(model, weight, name, shapeOfWeight(block, role.weight, size), dtype)];
    });
  return [
    ...attention === "zero"
      ? zeroAttention(model, shape, place, dtype)
      : attention
      ? entries(attention)
      : [],
    ...mlp ? entries(mlp) : [],
  ];
}

/** An attention of one KV head that adds nothing. */
function zeroAttention(
  { architecture, family, weights }: Model,
  { queryHeads }: DeciShape,
  layer: number,
  dtype = weights[0].tensor.dtype as FloatDType,
): readonly TensorEntry[] {
  const { hiddenSize, headDim } = architecture;
  const attention = { queryHeads, kvHeads: ZERO_KV_HEADS };
  const [block] = blocksOfLayers(
    family,
    { hiddenSize, headDim, traits: new Set(), attention: [UNSEEN] },
    [{ attention, mlp: null }],
  );
  return block.weights.map((weight) =>
    zeroTensor(
      blockTensorName(family, { ...block, layer }, weight.name),
      shapeOfWeight(block, weight.name),
      dtype,
    )
  );
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
