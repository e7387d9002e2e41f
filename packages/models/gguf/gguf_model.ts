import { UnsupportedModelError } from "@lopper/core";
import { type ByteSource, type GgufHeader, GgufTensorStore, readGgufHeader } from "@lopper/formats";
import { architectureFromConfig } from "../config.ts";
import { withComputed } from "../computed_weights.ts";
import { checkConfig } from "../config_kind.ts";
import { withEndTokens } from "../folder/generation_config.ts";
import { bindWeights, type Model } from "../model.ts";
import { checkSpecialIds, endTokens, ggufTemplates } from "@lopper/tokenizers";
import { checkKind } from "./check_kind.ts";
import { configFromGguf } from "./config.ts";
import { GgufFolder } from "./gguf_folder.ts";
import { architectureOf } from "./known_architectures.ts";
import { metadataNotes } from "./metadata_notes.ts";
import { namedTensors } from "./named_tensors.ts";
import { FACTOR_TENSORS } from "./tensor_names.ts";

/**
 * Opens a GGUF file as the model that its Hugging Face folder would be. Quantised weights become
 * F16, others stay what they are; the tokenizer and the config come from the metadata. The model
 * owns the source, and closes it.
 * @throws {CheckpointFormatError} when the file is malformed, or its tensors are not those that its
 *   metadata declares.
 * @throws {UnsupportedModelError} for architectures, settings and tensor types that Lopper does not
 *   read.
 */
export async function openGgufModel(source: ByteSource): Promise<Model> {
  try {
    const header = await readGgufHeader(source, checkKind);
    checkWeights(header);
    const arch = await architectureOf(header.metadata);
    const json = await configFromGguf(source, header, arch);
    const config = checkConfig(json, `${source.name} (its metadata)`);
    const { architecture, family } = architectureFromConfig(config, source.name);
    const weightTensors = [...header.tensors.values()]
      .filter(({ name }) => !FACTOR_TENSORS.includes(name));
    const stored = new GgufTensorStore(
      source,
      weightTensors.flatMap((tensor) =>
        namedTensors(tensor, { arch, architecture, family, source })
      ),
    );
    const store = withComputed(architecture, stored, { family, description: "the metadata" });
    const weights = bindWeights(architecture, family, store, source.name, "the metadata");
    const whole = withEndTokens(architecture, await endTokens(header.metadata));
    const folder = new GgufFolder(header.metadata, json, whole.eosTokenIds);
    // Its tokens are rows by their places, and no more than those (configFromGguf).
    await checkSpecialIds(folder, { config, file: source.name }, architecture.vocabSize);
    await ggufTemplates(header.metadata);
    return {
      name: source.name,
      folder,
      architecture: whole,
      family,
      config,
      weights,
      store,
      weightBytes: weights.reduce((sum, { tensor }) => sum + tensor.byteLength, 0),
      stored: { quantised: quantisedBytes(header), whole: null },
      notes: metadataNotes(header.metadata, arch.name),
      [Symbol.dispose]: () => store.close(),
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** @throws {UnsupportedModelError} when the file has no tensors. */
function checkWeights({ metadata: { file }, tensors }: GgufHeader) {
  if (tensors.size > 0) return;
  throw new UnsupportedModelError(`${file}: it has no weights, only metadata and a vocabulary`);
}

function quantisedBytes({ tensors }: GgufHeader): Readonly<Record<string, number>> | null {
  const bytes: Record<string, number> = {};
  for (const { type, byteLength } of tensors.values()) {
    if (type.dequantize) bytes[type.name] = (bytes[type.name] ?? 0) + byteLength;
  }
  return Object.keys(bytes).length > 0 ? bytes : null;
}
