import { shown, UnsupportedModelError } from "@lopper/core";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { foreignFolder, foreignWeights } from "./folder/foreign_folder.ts";
import { fateOf, listed } from "./folder/folder_files.ts";
import { modelOfFolder } from "./folder/model_of_folder.ts";
import { hubSnapshot } from "./folder/hub_snapshot.ts";
import type { KnownFolder } from "./folder/known_folder.ts";
import { lookAtFolder } from "./folder/open_folder.ts";
import { openGgufModel } from "./gguf/gguf_model.ts";
import {
  anyObject,
  filesOfWeights,
  hasSafetensors,
  missingFile,
  type ModelFolder,
  openTensorStore,
  readJson,
  splitPart,
} from "@lopper/formats";
import type { Model } from "./model.ts";
import { BUILDER_CONFIG, builderFile } from "./onnx/builder_config.ts";
import { findOnnxFile } from "./onnx/find_file.ts";
import { openOnnxModel } from "./onnx/onnx_model.ts";
import { checkUnquantised } from "./quantised_weights.ts";
import { bindModel, withEmbedding } from "./tied_head.ts";

const CONFIG = "config.json";

/**
 * Opens a model folder in Hugging Face layout, whose weights are safetensors or else an ONNX
 * decoder, one that the builder of onnxruntime-genai wrote, one that holds a single GGUF file and
 * no config.json, or what the hub's cache keeps of a model.
 * @throws {CheckpointFormatError} when a tensor is missing, undeclared, or of another shape than
 *   the config says, or a token has no row in the embedding.
 * @throws {UnsupportedModelError} for families, settings or file formats that Lopper does not read.
 */
export async function openModel(folder: ModelFolder): Promise<Model> {
  return await openKnownFolder(await lookAtFolder(folder));
}

async function openKnownFolder(folder: KnownFolder): Promise<Model> {
  if (!await folder.has(CONFIG)) return await openWithoutConfig(folder);
  if (!await hasSafetensors(folder)) {
    const onnx = await findOnnxFile(folder);
    if (onnx !== null) return await openOnnxModel(folder, onnx);
  }
  const file = `${folder.name}/${CONFIG}`;
  const json = await readJson(folder, CONFIG, anyObject);
  const declared = checkConfig(json, file);
  const { architecture: shapes, family } = architectureFromConfig(declared, file);
  const foreign = await hasSafetensors(folder) ? null : await foreignWeights(folder);
  if (foreign) throw foreign;
  const read = await filesOfWeights(folder);
  checkNamedWeights(json, read, file);
  const opened = await openTensorStore(folder);
  const store = withEmbedding(shapes, opened, family.tensorNames);
  try {
    await checkUnquantised(folder, store);
    const bound = await bindModel(shapes, declared, store, {
      family,
      file: folder.name,
      description: CONFIG,
    });
    return await modelOfFolder(folder, { ...bound, family, store, description: CONFIG, read });
  } catch (error) {
    store.close();
    throw error;
  }
}

/** A folder whose model says in another file what it is, or lies deeper. */
async function openWithoutConfig(folder: KnownFolder): Promise<Model> {
  const gguf = (await folder.list()).filter((file) => /\.gguf$/i.test(file));
  if (gguf.length > 0) return await openOnlyGguf(folder, gguf);
  if (await folder.has(BUILDER_CONFIG)) {
    return await openOnnxModel(folder, await builderFile(folder));
  }
  const snapshot = await hubSnapshot(folder);
  if (snapshot) return await openModel(snapshot);
  const foreign = await hasSafetensors(folder) ? null : await foreignFolder(folder);
  throw foreign ?? missingFile(folder.name, CONFIG);
}

/**
 * transformers reads the file that a config names, before any of a usual name.
 * @throws {UnsupportedModelError} when that is another than Lopper reads.
 */
function checkNamedWeights(
  { transformers_weights: named }: Readonly<Record<string, unknown>>,
  read: readonly string[],
  file: string,
) {
  if (named === undefined || named === null || named === read.at(-1)) return;
  throw new UnsupportedModelError(
    `${file}: transformers_weights is ${shown(named)}; Lopper reads ${read.at(-1)}`,
  );
}

/**
 * The only GGUF file of a folder without a config. @throws {UnsupportedModelError} when there are
 * several.
 */
async function openOnlyGguf(folder: KnownFolder, files: readonly string[]): Promise<Model> {
  const [file, ...more] = files;
  if (more.length > 0) {
    const split = files.map(splitPart).find((part) => part !== null);
    throw new UnsupportedModelError(
      `${folder.name} holds ${files.length} GGUF files and no ${CONFIG}; ` +
        (split ? `some are parts of one model: ${split.join}` : "name the one to open"),
    );
  }
  const model = await openGgufModel(await folder.open(file));
  const beside = (await folder.list()).filter((name) => name !== file && fateOf(name) !== "silent");
  if (beside.length === 0) return model;
  const note = `${listed(beside)}: passed over, since ${file} has config and tokenizer in it`;
  return { ...model, notes: [...model.notes, note] };
}
