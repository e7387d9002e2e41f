import { attentionWindow, ExportError, type FloatDType, headsOf, isUniform } from "@lopper/core";
import {
  type OpenSink,
  planShards,
  type TensorEntry,
  writeFile,
  writeJson,
  writeSafetensors,
  writeText,
} from "@lopper/formats";
import {
  copyCompanions,
  type Model,
  plainConfig,
  PRUNED_MODEL_TYPE,
  prunedConfig,
} from "@lopper/models";
import { convertedTensor } from "./convert.ts";
import type { WrittenExport } from "./export.ts";
import CONFIGURATION from "./transformers/configuration_lopper.py" with { type: "text" };
import MODELING from "./transformers/modeling_lopper.py" with { type: "text" };

export interface SafetensorsExportOptions {
  /** The dtype of every weight; without it, each keeps its own. */
  readonly dtype?: FloatDType;
  readonly maxShardBytes?: number;
}

/** How transformers writes dtypes in config.json. */
export const DTYPE_NAMES: Readonly<Record<FloatDType, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Writes a model for transformers. One whose layers are all the same gets a plain config; any other carries its
 * configuration and modelling code, which `trust_remote_code=True` allows. One tensor is in memory at a time; config.json
 * is written last.
 * @throws {ExportError} when a value does not fit into the dtype, or only some layers have a sliding window and their
 *   shapes differ besides.
 */
export async function exportSafetensors(
  model: Model,
  open: OpenSink,
  { dtype, maxShardBytes }: SafetensorsExportOptions = {},
): Promise<WrittenExport> {
  const config = transformersConfig(model, dtype);
  const entries = model.weights.map(({ tensor }) =>
    convertedTensor(model.store, tensor, dtype ?? tensor.dtype as FloatDType)
  );
  const files = await writeWeights(entries, open, maxShardBytes);
  files.push(...await copyCompanions(model.folder, open));
  const customCode = "auto_map" in config;
  if (customCode) {
    await writeText(open, "configuration_lopper.py", CONFIGURATION);
    await writeText(open, "modeling_lopper.py", MODELING);
    files.push("configuration_lopper.py", "modeling_lopper.py");
  }
  await writeJson(open, "config.json", config);
  files.push("config.json");
  return { files, customCode };
}

/** Writes tensors as one file, or as shards with their index; returns the names of the files. */
export async function writeWeights(
  entries: readonly TensorEntry[],
  open: OpenSink,
  maxShardBytes?: number,
): Promise<string[]> {
  const { shards, indexJson } = planShards(entries, maxShardBytes);
  const files: string[] = [];
  for (const { file, entries } of shards) {
    await writeFile(open, file, (sink) => writeSafetensors(sink, entries));
    files.push(file);
  }
  if (indexJson !== undefined) {
    await writeText(open, "model.safetensors.index.json", indexJson);
    files.push("model.safetensors.index.json");
  }
  return files;
}

/** The config.json under which transformers computes what the model computes. */
export function transformersConfig(model: Model, dtype?: FloatDType): Record<string, unknown> {
  const { architecture, family } = model;
  const source = { ...plainConfig(model.config), head_dim: architecture.headDim };
  const typed = dtype === undefined ? source : withDType(source, dtype);
  if (isUniform(architecture) && plainHeadsFit(model)) {
    return prunedConfig(typed, architecture, true);
  }

  if (family.placement === "post") {
    throw new ExportError(
      `${model.name}: its layers differ in shape, and its norms are behind the blocks; transformers is given code for layers ` +
        "whose norms are before them",
    );
  }
  const windows = architecture.blocks.flatMap(({ attended, layer }) =>
    attended ? [attentionWindow(architecture, layer)] : []
  );
  if (windows.some((window) => window !== windows[0])) {
    throw new ExportError(
      `${model.name}: its layers differ in shape, and sliding_window holds for some of them only; transformers can be ` +
        `given one or the other`,
    );
  }
  const type = windows[0] === null || windows.length === 0 ? "full_attention" : "sliding_attention";
  const name = `Lopper${family.className}`;
  return {
    ...prunedConfig(typed, architecture, false),
    // Attention asks for the type of its place in the cache, which is not its layer's number.
    ...(family.slidingWindow === "use_sliding_window" && {
      layer_types: Array.from({ length: architecture.layerCount }, () => type),
    }),
    model_type: PRUNED_MODEL_TYPE + family.modelType,
    architectures: [`${name}ForCausalLM`],
    auto_map: {
      AutoConfig: `configuration_lopper.${name}Config`,
      AutoModelForCausalLM: `modeling_lopper.${name}ForCausalLM`,
    },
  };
}

/** transformers refuses a Llama config whose heads do not divide the hidden size, whatever head_dim says. */
function plainHeadsFit({ architecture, family }: Model): boolean {
  const [first] = architecture.blocks.filter(({ attended }) => attended);
  const heads = first ? headsOf(first).queryHeads : 1;
  return family.modelType !== "llama" || architecture.hiddenSize % heads === 0;
}

function withDType(config: Record<string, unknown>, dtype: FloatDType): Record<string, unknown> {
  // transformers 5 writes `dtype`, earlier ones `torch_dtype`.
  const key = "torch_dtype" in config && !("dtype" in config) ? "torch_dtype" : "dtype";
  return { ...config, [key]: DTYPE_NAMES[dtype] };
}
