import {
  CheckpointFormatError,
  type LopperError,
  shown,
  UnsupportedModelError,
} from "@lopper/core";
import { type ModelFolder, readJson } from "@lopper/formats";
import { z } from "zod";

const ADAPTER_CONFIG = "adapter_config.json";
const ADAPTER_WEIGHTS = /^adapter_model\.(?:safetensors|bin)$/;

const TO_SAFETENSORS =
  "convert it with transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)";

/**
 * Files of other programs that hold a model: how they are called, what they are, and the way from
 * there.
 */
const FOREIGN: readonly (readonly [file: RegExp, what: string, way: string])[] = [
  [
    /^consolidated\.\d+\.pth$/,
    "weights as Meta lays them out, in a pickled file, which can run code, so Lopper never opens it",
    "convert it with transformers: convert_llama_weights_to_hf.py",
  ],
  [
    /\.(?:bin|pt|pth|ckpt)$/i,
    "a pickled checkpoint, which can run code, so Lopper never opens it",
    TO_SAFETENSORS,
  ],
  [/\.h5$/i, "a checkpoint of TensorFlow", TO_SAFETENSORS],
  [/\.msgpack$/i, "a checkpoint of Flax", TO_SAFETENSORS],
  [
    /\.distcp$/i,
    "a part of a distributed checkpoint",
    "save the whole model with transformers: model.save_pretrained(DIR)",
  ],
  [/\.nemo$/i, "a model of NeMo", "export it in the layout of Hugging Face"],
  [
    /^consolidated(?:-\d+-of-\d+)?\.safetensors$/,
    "weights as Mistral lays them out",
    "open the folder that has them as Hugging Face does: config.json and model.safetensors",
  ],
  [
    /^model-\d+-of-\d+\.safetensors$/,
    "a shard without model.safetensors.index.json, which says what lies where",
    "fetch that file, too",
  ],
  [
    /\.safetensors$/i,
    "weights under a name that no model folder has",
    "they are looked for in model.safetensors, or the shards that model.safetensors.index.json names",
  ],
];

/** Entries of a folder that are looked into for models. */
const MAX_LOOKED_INTO = 200;
/** Of those that hold one, how many are named. */
const MAX_NAMED = 5;

/**
 * What stands in the way of a folder without config.json, or without weights: what it holds
 * instead, and the way from there; null where it holds nothing that anybody knows.
 */
export async function foreignFolder(folder: ModelFolder): Promise<LopperError | null> {
  const files = (await folder.list()).toSorted();
  if (files.includes(ADAPTER_CONFIG) || files.some((file) => ADAPTER_WEIGHTS.test(file))) {
    return await adapter(folder, files.includes(ADAPTER_CONFIG));
  }
  for (const [pattern, what, way] of FOREIGN) {
    const found = files.find((file) => pattern.test(file));
    if (found === undefined) continue;
    return new UnsupportedModelError(`${folder.name}/${found}: this is ${what}; ${way}`);
  }
  if (files.includes("model_index.json")) {
    return new UnsupportedModelError(
      `${folder.name}: this is a pipeline of several models, for images perhaps; Lopper opens one model for text`,
    );
  }
  const models = await modelsIn(folder, files);
  if (models.length > 0) {
    const more = models.length > MAX_NAMED ? ` and ${models.length - MAX_NAMED} more` : "";
    return new UnsupportedModelError(
      `${folder.name}: this is no model, and folders in it are: ${
        models.slice(0, MAX_NAMED).join(", ")
      }${more}; name the one to open`,
    );
  }
  return files.length > 0
    ? null
    : new CheckpointFormatError("the folder is empty", { file: folder.name });
}

/**
 * What holds the weights of a folder whose config.json has no safetensors beside it, where anybody
 * knows that.
 */
export async function foreignWeights(folder: ModelFolder): Promise<LopperError | null> {
  const gguf = (await folder.list()).filter((file) => /\.gguf$/i.test(file));
  if (gguf.length === 0) return await foreignFolder(folder);
  return new UnsupportedModelError(
    `${folder.name} holds a config.json and ${
      gguf.join(", ")
    }, and no safetensors; name the GGUF file itself to open it`,
  );
}

const adapterSchema = z.looseObject({
  peft_type: z.string().optional(),
  base_model_name_or_path: z.string().nullish(),
});

/** An adapter's weights are added to those of a model, and are none without it. */
async function adapter(folder: ModelFolder, described: boolean): Promise<LopperError> {
  const { peft_type: type = "LORA", base_model_name_or_path: base } = described
    ? await readJson(folder, ADAPTER_CONFIG, adapterSchema)
    : {};
  const kind = type.toUpperCase() === "LORA" ? "a LoRA adapter" : `an adapter (${named(type)})`;
  return new UnsupportedModelError(
    `${folder.name}: this is ${kind}${
      base ? ` of ${named(base)}` : ""
    }, no model: merge it first (peft: ` +
      "PeftModel.from_pretrained(MODEL, DIR).merge_and_unload().save_pretrained(NEW_DIR))",
  );
}

/** A name as it is, where it is plain. */
function named(name: string): string {
  return /^[\w./-]{1,80}$/.test(name) ? name : shown(name);
}

/** The folders in a folder that hold a model. */
async function modelsIn(
  folder: ModelFolder,
  entries: readonly string[],
): Promise<readonly string[]> {
  const names = [...new Set(entries.map((entry) => entry.split("/")[0]))];
  const found: string[] = [];
  for (const name of names.slice(0, MAX_LOOKED_INTO)) {
    if (await holdsModel(folder, name).catch(() => false)) found.push(name);
  }
  return found;
}

async function holdsModel(folder: ModelFolder, name: string): Promise<boolean> {
  const inner = folder.folder(name);
  if (await inner.has("config.json")) return true;
  return (await inner.list()).some((file) => file === "snapshots" || /\.gguf$/i.test(file));
}
