import { shown, UnsupportedModelError } from "@lopper/core";
import { withComputed } from "./computed_weights.ts";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { fateOf, isCompanion, listed } from "./folder/folder_files.ts";
import { modelOfFolder } from "./folder/model_of_folder.ts";
import { hubSnapshot } from "./folder/hub_snapshot.ts";
import type { KnownFolder } from "./folder/known_folder.ts";
import { lookAtFolder } from "./folder/open_folder.ts";
import { openGgufModel } from "./gguf/gguf_model.ts";
import {
  anyObject,
  missingFile,
  type ModelFolder,
  openTensorStore,
  readJson,
} from "@lopper/formats";
import { CONFIG, layoutOf, layoutOfFile, withoutWeights } from "./layout.ts";
import type { Model } from "./model.ts";
import { openOnnxModel } from "./onnx/onnx_model.ts";
import { checkUnquantised, isMxfp4, withoutMxfp4 } from "./quantised_weights.ts";
import { withUsualNames } from "./stored_names.ts";
import { bindModel } from "./tied_head.ts";
import { unpacked } from "./unpacked_store.ts";
import { textPartOf, textTensors } from "./whole_model.ts";

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
  const layout = await layoutOf(folder);
  if (layout?.form === "gguf") return await openOnlyGguf(folder, layout.files[0]);
  if (layout?.form === "onnx") return await openOnnxModel(folder, layout.files[0]);
  if (!await folder.has(CONFIG)) {
    const snapshot = await hubSnapshot(folder);
    if (snapshot) return await openModel(snapshot);
    throw await withoutWeights(folder);
  }
  const { json, part, declared, shapes, family } = await describedModel(folder);
  if (!layout) throw await withoutWeights(folder);
  checkNamedWeights(json, layout.files, `${folder.name}/${CONFIG}`);
  const opened = await openTensorStore(folder);
  try {
    await checkUnquantised(folder, opened);
    const where = { family, file: folder.name, description: CONFIG };
    const text = part ? textTensors(part, opened, folder.name) : { store: opened, whole: null };
    const plain = family.mxfp4
      ? withoutMxfp4(text.store, isMxfp4(part?.text ?? json), folder.name)
      : { store: text.store, quantised: null };
    const named = withUsualNames(shapes, plain.store, family.tensorNames);
    const store = withComputed(shapes, unpacked(shapes, named, where), where);
    const bound = await bindModel(shapes, declared, store, where);
    const found = { ...bound, family, store, description: CONFIG, read: layout.files };
    const { quantised } = plain;
    return await modelOfFolder(folder, found, { quantised, whole: text.whole });
  } catch (error) {
    opened.close();
    throw error;
  }
}

/**
 * What the config.json of a folder describes.
 * @throws {CheckpointFormatError} or {UnsupportedModelError} when that is nothing that Lopper
 *   reads.
 */
async function describedModel(folder: ModelFolder) {
  const file = `${folder.name}/${CONFIG}`;
  const json = await readJson(folder, CONFIG, anyObject);
  const part = textPartOf(json, file);
  const within = part ? `${file} (text_config)` : file;
  const declared = checkConfig(part?.text ?? json, within);
  const { architecture: shapes, family } = architectureFromConfig(declared, within);
  return { json, part, declared, shapes, family };
}

/**
 * The files of a folder that its model is opened from, and that go along with it: paths from the
 * folder. Of its other files none is opened but config.json and what says where weights lie.
 * @param paths of all files in the folder and in those within it.
 * @param file path of the one that holds the weights, where that is said.
 * @throws {CheckpointFormatError} or {UnsupportedModelError} when there is none that Lopper reads,
 *   as far as that is known without the weights.
 */
export async function neededFiles(
  folder: ModelFolder,
  paths: readonly string[],
  file: string | null = null,
): Promise<readonly string[]> {
  const layout = file === null ? await layoutOf(folder) : layoutOfFile(file);
  const missing = layout?.files.find((file) => !paths.includes(file));
  if (missing !== undefined) throw missingFile(folder.name, missing);
  if (layout?.form === "gguf") return layout.files;
  if (await folder.has(CONFIG)) await describedModel(folder);
  if (!layout) throw await withoutWeights(folder);
  const isNeeded = (path: string) => layout.files.some((file) => isPartOf(path, file));
  return paths.filter((path) => isCompanion(path) || isNeeded(path));
}

/** Whether a file is another, or holds values of it, as those of ONNX files do. */
function isPartOf(path: string, file: string): boolean {
  return path === file || path.startsWith(`${file}_data`) || path.startsWith(`${file}.data`);
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

/** The GGUF file of a folder that has nothing else of its model. */
async function openOnlyGguf(folder: KnownFolder, file: string): Promise<Model> {
  const model = await openGgufModel(await folder.open(file));
  const beside = (await folder.list()).filter((name) => name !== file && fateOf(name) !== "silent");
  if (beside.length === 0) return model;
  const note = `${listed(beside)}: passed over, since ${file} has config and tokenizer in it`;
  return { ...model, notes: [...model.notes, note] };
}
