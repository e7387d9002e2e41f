import { UnsupportedModelError } from "@lopper/core";
import { z } from "zod";
import { configSchema, specFromConfig } from "./config.ts";
import { withoutDeciLayout } from "./deci_config.ts";
import { openGgufModel } from "./gguf/gguf_model.ts";
import { checkJson, readJson } from "./json.ts";
import { bindWeights, type Model } from "./model.ts";
import { BUILDER_CONFIG, builderFile } from "./onnx/builder_config.ts";
import { findOnnxFile } from "./onnx/find_file.ts";
import { openOnnxModel } from "./onnx/onnx_model.ts";
import type { ModelFolder } from "./model_folder.ts";
import { hasSafetensors, openTensorStore } from "./safetensors/tensor_store.ts";

const CONFIG = "config.json";

/**
 * Opens a model folder in Hugging Face layout, whose weights are safetensors or else an ONNX decoder, one that the builder
 * of onnxruntime-genai wrote, or one that holds a single GGUF file and no config.json.
 * @throws {CheckpointFormatError} when a tensor is missing, undeclared, or of another shape than the config says.
 * @throws {UnsupportedModelError} for families, settings or file formats that Lopper does not read.
 */
export async function openModel(folder: ModelFolder): Promise<Model> {
  if (!await folder.has(CONFIG)) {
    const gguf = (await folder.list()).filter((file) => /\.gguf$/i.test(file));
    if (gguf.length === 1) return await openGgufModel(await folder.open(gguf[0]));
    if (gguf.length > 1) {
      throw new UnsupportedModelError(
        `${folder.name} holds ${gguf.length} GGUF files and no ${CONFIG}; name the one to open`,
      );
    }
  }
  if (!await folder.has(CONFIG) && await folder.has(BUILDER_CONFIG)) {
    return await openOnnxModel(folder, await builderFile(folder));
  }
  if (!await hasSafetensors(folder)) {
    const onnx = await findOnnxFile(folder);
    if (onnx !== null) return await openOnnxModel(folder, onnx);
  }
  const file = `${folder.name}/${CONFIG}`;
  const json = await readJson(folder, CONFIG, z.looseObject({}));
  const config = checkJson(withoutDeciLayout(json, file), configSchema, file);
  const { spec, family } = specFromConfig(config, file);
  const store = await openTensorStore(folder);
  try {
    const weights = bindWeights(spec, family, store, folder.name);
    return {
      name: folder.name,
      folder,
      spec,
      family,
      config,
      weights,
      store,
      weightBytes: weights.reduce((sum, { tensor }) => sum + tensor.byteLength, 0),
      quantised: null,
      notes: [],
      close: () => store.close(),
    };
  } catch (error) {
    store.close();
    throw error;
  }
}
