import { shown, UnsupportedModelError } from "@lopper/core";
import { architectureOf } from "./known_architectures.ts";
import { type GgufMetadata, splitPart } from "@lopper/formats";

/**
 * Whether a file is a whole language model of an architecture that Lopper computes. Nothing else is
 * asked of one that is not.
 * @throws {UnsupportedModelError} saying what it is.
 */
export async function checkKind(metadata: GgufMetadata): Promise<void> {
  const { file } = metadata;
  // Parts behind the first say nothing else.
  checkWhole(metadata);
  const kind = await metadata.text("general.type") ?? "model";
  if (kind === "adapter") {
    throw new UnsupportedModelError(
      `${file}: this is a LoRA adapter, no model: merge it first, with llama.cpp's llama-export-lora`,
    );
  }
  if (kind !== "model") {
    throw new UnsupportedModelError(
      `${file}: general.type is ${shown(kind)}; Lopper needs "model"`,
    );
  }
  await architectureOf(metadata);
}

/** @throws {UnsupportedModelError} when the file holds a part of a model only. */
function checkWhole(metadata: GgufMetadata) {
  const { file } = metadata;
  const parts = metadata.count("split.count") ?? 1;
  if (parts <= 1) return;
  const part = (metadata.count("split.no") ?? 0) + 1;
  const join = splitPart(file)?.join ??
    "join them with llama-gguf-split --merge FIRST_PART WHOLE_FILE";
  throw new UnsupportedModelError(`${file}: it is part ${part} of ${parts} of a model; ${join}`);
}
