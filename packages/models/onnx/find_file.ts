import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import type { ModelFolder } from "@lopper/formats";

/** Where exporters put a decoder in float32 or float16, the most exact first. */
const USUAL = ["onnx/model.onnx", "model.onnx", "onnx/model_fp16.onnx", "model_fp16.onnx"];
const FOLDER = "onnx";

/**
 * The path of the ONNX file that holds a folder's decoder, or null where there is none.
 * @throws {UnsupportedModelError} when there are several, and none has one of the usual names.
 */
export async function findOnnxFile(folder: ModelFolder): Promise<string | null> {
  const files = [
    ...await onnxFiles(folder),
    ...(await onnxFiles(folder.folder(FOLDER))).map((file) => `${FOLDER}/${file}`),
  ];
  const usual = USUAL.find((path) => files.includes(path));
  if (usual !== undefined || files.length <= 1) return usual ?? files[0] ?? null;
  throw new UnsupportedModelError(
    `${folder.name} holds ${files.length} ONNX files (${files.join(", ")}) and none of ${
      USUAL.join(", ")
    }; name the one to open`,
  );
}

async function onnxFiles(folder: ModelFolder): Promise<readonly string[]> {
  try {
    return (await folder.list()).filter((file) => /^[^/]+\.onnx$/i.test(file));
  } catch (error) {
    // There is no such folder.
    if (error instanceof CheckpointFormatError) return [];
    throw error;
  }
}
