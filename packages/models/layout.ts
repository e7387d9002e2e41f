import { type LopperError, UnsupportedModelError } from "@lopper/core";
import {
  filesOfWeights,
  hasSafetensors,
  missingFile,
  missingWeights,
  type ModelFolder,
  splitPart,
} from "@lopper/formats";
import { listed } from "./folder/folder_files.ts";
import { foreignFolder, foreignWeights } from "./folder/foreign_folder.ts";
import { BUILDER_CONFIG, builderFile } from "./onnx/builder_config.ts";
import { findOnnxFile } from "./onnx/find_file.ts";

export const CONFIG = "config.json";

/** Where a folder has the weights of its model. */
export interface Layout {
  readonly form: "safetensors" | "onnx" | "gguf";
  /** The files that hold them, or say which do, by their paths from the folder. */
  readonly files: readonly string[];
}

/**
 * Where a folder has the weights of its model: safetensors, else an ONNX decoder, or without
 * config.json a single GGUF file or what the builder of onnxruntime-genai wrote. Null where none of
 * them is there.
 * @throws {UnsupportedModelError} when there are several, and nothing says which.
 */
export async function layoutOf(folder: ModelFolder): Promise<Layout | null> {
  if (!await folder.has(CONFIG)) {
    const gguf = (await folder.list()).filter((file) => /\.gguf$/i.test(file));
    if (gguf.length > 0) return { form: "gguf", files: [onlyOne(folder, gguf)] };
    return await folder.has(BUILDER_CONFIG)
      ? { form: "onnx", files: [await builderFile(folder)] }
      : null;
  }
  if (await hasSafetensors(folder)) {
    return { form: "safetensors", files: await filesOfWeights(folder) };
  }
  const onnx = await findOnnxFile(folder);
  return onnx === null ? null : { form: "onnx", files: [onnx] };
}

/** The same of a file that holds the weights by its name. */
export function layoutOfFile(file: string): Layout {
  return { form: /\.gguf$/i.test(file) ? "gguf" : "onnx", files: [file] };
}

/** What stands in the way of a folder in which `layoutOf` finds nothing. */
export async function withoutWeights(folder: ModelFolder): Promise<LopperError> {
  if (await folder.has(CONFIG)) return await foreignWeights(folder) ?? missingWeights(folder);
  const foreign = await hasSafetensors(folder) ? null : await foreignFolder(folder);
  return foreign ?? missingFile(folder.name, CONFIG);
}

/** @throws {UnsupportedModelError} when there are several GGUF files. */
function onlyOne(folder: ModelFolder, files: readonly string[]): string {
  if (files.length === 1) return files[0];
  const split = files.map(splitPart).find((part) => part !== null);
  throw new UnsupportedModelError(
    `${folder.name} holds ${files.length} GGUF files and no ${CONFIG}; ` +
      (split
        ? `some are parts of one model: ${split.join}`
        : `name the one to open (${listed(files)})`),
  );
}
