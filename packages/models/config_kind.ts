import { shown, UnsupportedModelError } from "@lopper/core";
import { withoutPrefix } from "./config.ts";
import { configSchema } from "./config_schema.ts";
import { type CompleteConfig, withDefaults, withUsualKeys } from "./config_defaults.ts";
import { withoutDeciLayout } from "./deci_config.ts";
import { FAMILIES, familyOf } from "./families/mod.ts";
import { wrapperOf, WRAPPERS } from "./families/wrappers.ts";
import { checkJson } from "@lopper/formats";
import { otherMixer, TEXT_PARTS } from "./other_mixers.ts";
import { isMxfp4, quantisedWeights } from "./quantised_weights.ts";

type Json = Readonly<Record<string, unknown>>;

const OTHER_PARTS = ["vision_config", "audio_config"] as const;
/** Where configs say how weights are quantised: transformers, compressed-tensors before it, MLX. */
const QUANTISATIONS = ["quantization_config", "compression_config", "quantization"] as const;

/**
 * Understands a config.json. What kind of model it describes comes first, so that no other key is
 * asked of a model that Lopper does not read. What is absent is filled in where the family says
 * what it means.
 * @param file where it came from, for messages.
 * @throws {UnsupportedModelError} for another kind of model, and for quantised weights.
 * @throws {CheckpointFormatError} naming the first key that is not what it needs to be.
 */
export function checkConfig(json: Json, file: string): CompleteConfig {
  const config = withoutDeciLayout(json, file);
  checkModelType(config, file);
  const family = familyOf(withoutPrefix(String(config.model_type)), file);
  const unquantised = family.mxfp4 && isMxfp4(config) ? withoutQuantisation(config) : config;
  const key = QUANTISATIONS.find((key) => isGiven(unquantised[key]));
  if (key) throw quantisedWeights(file, config[key]);
  const checked = checkJson(withUsualKeys(unquantised, family), configSchema, file);
  return withDefaults(checked, family);
}

function withoutQuantisation({ quantization_config: _, ...config }: Json): Json {
  return config;
}

/** @throws {UnsupportedModelError} unless a config is that of a family that Lopper reads. */
function checkModelType(json: Json, file: string) {
  const { model_type: found, architectures } = json;
  if (typeof found !== "string") {
    const named = Array.isArray(architectures) && architectures.length > 0
      ? `, only architectures ${shown(architectures)}`
      : "";
    throw new UnsupportedModelError(
      `${file}: there is no model_type${named}; Lopper reads those of ${readable()}`,
    );
  }
  const type = withoutPrefix(found);
  const known = FAMILIES.find(({ modelType }) => modelType === type);
  if (known && !known.hybrid) return;
  const mixer = otherMixer(json);
  if (mixer) throw new UnsupportedModelError(`${file}: model_type is ${shown(type)}: ${mixer}`);
  if (known) return;
  if (wrapperOf(type)) {
    throw new UnsupportedModelError(
      `${file}: model_type is ${
        shown(type)
      }, a model of more than text; Lopper reads its text model ` +
        "from safetensors alone",
    );
  }
  const part = TEXT_PARTS.find((key) => isObject(json[key]));
  if (!part && !OTHER_PARTS.some((key) => isObject(json[key]))) familyOf(type, file);
  const text = part && (json[part] as Json).model_type;
  throw new UnsupportedModelError(
    `${file}: model_type is ${shown(type)}, a model of more than text${
      typeof text === "string" ? `, whose part for text is ${shown(text)}` : ""
    }; Lopper reads the text models of ${
      WRAPPERS.map(({ modelType }) => modelType).join(", ")
    }, and models of text alone: ${readable()}`,
  );
}

function readable(): string {
  return FAMILIES.map(({ modelType }) => modelType).join(", ");
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
