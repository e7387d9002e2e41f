import { CheckpointFormatError, type FloatDType, shown, UnsupportedModelError } from "@lopper/core";
import {
  anyObject,
  type ModelFolder,
  Mxfp4Store,
  readJson,
  type TensorStore,
  UNQUANTISED,
} from "@lopper/formats";
import type { StoredForm } from "./model.ts";

/** Methods as people write them, by how `quant_method` has them; others are shown as they are. */
const METHODS: Readonly<Record<string, string>> = {
  aqlm: "AQLM",
  awq: "AWQ",
  bitnet: "BitNet",
  exl2: "EXL2",
  exl3: "EXL3",
  fbgemm_fp8: "FP8 (FBGEMM)",
  fp8: "FP8",
  gptq: "GPTQ",
  hqq: "HQQ",
  modelopt: "ModelOpt",
  mxfp4: "MXFP4",
};
/** Keys that hold the bits of a weight. */
const BITS = ["bits", "w_bit", "num_bits", "weight_bits", "nbits"] as const;

/** Files that say how weights are quantised where config.json does not, and whose they are. */
const FILES: Readonly<Record<string, string>> = {
  "quantize_config.json": "GPTQ",
  "quant_config.json": "AWQ",
  "hf_quant_config.json": "ModelOpt",
  "quanto_qmap.json": "quanto",
};
/**
 * Tensors that stand for a quantised matrix, or beside one (GPTQ, AWQ, compressed-tensors, FP8,
 * bitsandbytes, MLX, HQQ).
 */
const PACKED =
  /\.(?:qweight|qzeros|scales|g_idx|weight_packed|weight_scale(?:_inv|_2)?|weight_zero_point|weight_format|SCB|absmax|quant_map|(?:weight\.)?quant_state\.\S+|W_q|input_scale)$/;

/**
 * What is to be said of quantised weights.
 * @param file where it says so.
 * @param config how they are quantised, as that file has it.
 * @param method what is known of the method besides.
 */
export function quantisedWeights(
  file: string,
  config: unknown,
  method?: string,
): UnsupportedModelError {
  const json = isObject(config) ? config : {};
  const named = json.quant_method ?? json.quant_algo;
  const name = typeof named === "string"
    ? METHODS[named.toLowerCase()] ?? shown(named).slice(1, -1)
    : method;
  const bits = bitsOf(json);
  const how = [name, bits === undefined ? undefined : `${bits} bits`].filter((part) => part);
  return new UnsupportedModelError(
    `${file}: the weights are quantised${
      how.length > 0 ? ` (${how.join(", ")})` : ""
    }; ${UNQUANTISED}`,
  );
}

/** Whether a config.json says that matrices are in MXFP4. */
export function isMxfp4(
  { quantization_config: config }: Readonly<Record<string, unknown>>,
): boolean {
  return isObject(config) && config.quant_method === "mxfp4";
}

/**
 * The tensors of a checkpoint, those in MXFP4 as BF16, and how many bytes these have in the file.
 * @param said whether config.json says that there are some.
 * @throws {CheckpointFormatError} when there are none then, or they are not as the format wants it.
 */
export function withoutMxfp4(
  store: TensorStore,
  said: boolean,
  file: string,
): { readonly store: TensorStore; readonly quantised: StoredForm["quantised"] } {
  const read = new Mxfp4Store(store);
  if (read.quantisedBytes > 0) return { store: read, quantised: { MXFP4: read.quantisedBytes } };
  if (!said) return { store, quantised: null };
  throw new CheckpointFormatError(
    "quantization_config of config.json says MXFP4, and no tensor is: their names would end in _blocks",
    { file },
  );
}

/** The dtype that weights have which are quantised in the file. */
export function dtypeOfQuantised(types: Readonly<Record<string, number>>): FloatDType {
  return "MXFP4" in types ? "BF16" : "F16";
}

function bitsOf(json: Readonly<Record<string, unknown>>): number | undefined {
  if (json.load_in_4bit === true) return 4;
  if (json.load_in_8bit === true) return 8;
  const groups = isObject(json.config_groups) ? Object.values(json.config_groups) : [];
  const places = [json, ...groups.map((group) => isObject(group) ? group.weights : null)];
  const found = places.flatMap((place) => isObject(place) ? BITS.map((key) => place[key]) : []);
  return found.find((bits) => typeof bits === "number");
}

/**
 * Refuses quantised weights of which config.json says nothing.
 * @throws {UnsupportedModelError} naming the file that says so, else the first of the tensors.
 */
export async function checkUnquantised(
  folder: ModelFolder,
  { tensors }: Pick<TensorStore, "tensors">,
): Promise<void> {
  const packed = [...tensors.values()].find(({ name }) => PACKED.test(name));
  if (!packed) return;
  for (const [file, method] of Object.entries(FILES)) {
    if (!await folder.has(file)) continue;
    const json = await readJson(folder, file, anyObject);
    throw quantisedWeights(`${folder.name}/${file}`, json.quantization ?? json, method);
  }
  throw quantisedWeights(`${packed.file}, tensor ${shown(packed.name)}`, {});
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
