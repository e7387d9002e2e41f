import { shown, UnsupportedModelError } from "@lopper/core";
import { arcee } from "./arcee.ts";
import { baichuan } from "./baichuan.ts";
import { cohere2 } from "./cohere2.ts";
import { dots1 } from "./dots1.ts";
import { exaone4 } from "./exaone4.ts";
import { ernie45 } from "./ernie4_5.ts";
import { ernie45Moe } from "./ernie4_5_moe.ts";
import { graniteMoeShared } from "./granitemoeshared.ts";
import { solarOpen } from "./solar_open.ts";
import { minimaxM2 } from "./minimax_m2.ts";
import { exaoneMoe } from "./exaone_moe.ts";
import type { Family } from "./family.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gptOss } from "./gpt_oss.ts";
import { granite } from "./granite.ts";
import { graniteHybrid } from "./granite_hybrid.ts";
import { graniteMoe } from "./granitemoe.ts";
import { glm4 } from "./glm4.ts";
import { glm4Moe } from "./glm4_moe.ts";
import { gpt2 } from "./gpt2.ts";
import { gptNeox } from "./gpt_neox.ts";
import { hunyuanDense } from "./hunyuan_v1_dense.ts";
import { hunyuanMoe } from "./hunyuan_v1_moe.ts";
import { llama } from "./llama.ts";
import { ministral3 } from "./ministral3.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { whyNotRead } from "./not_read.ts";
import { nemotron } from "./nemotron.ts";
import { olmo } from "./olmo.ts";
import { olmo2 } from "./olmo2.ts";
import { olmo3 } from "./olmo3.ts";
import { olmoe } from "./olmoe.ts";
import { opt } from "./opt.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2Moe } from "./qwen2_moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3_moe.ts";
import { seedOss } from "./seed_oss.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";

/** A line each, so that a family is added by one. */
export const FAMILIES: readonly Family[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  olmo2,
  arcee,
  cohere2,
  exaone4,
  gemma,
  gemma2,
  gemma3,
  granite,
  ministral3,
  nemotron,
  olmo,
  olmo3,
  opt,
  phi,
  phi3,
  seedOss,
  smollm3,
  stablelm,
  starcoder2,
  mixtral,
  qwen3Moe,
  qwen2Moe,
  olmoe,
  graniteMoe,
  graniteHybrid,
  gptOss,
  gptNeox,
  gpt2,
  baichuan,
  glm4,
  glm4Moe,
  dots1,
  ernie45,
  ernie45Moe,
  graniteMoeShared,
  solarOpen,
  minimaxM2,
  exaoneMoe,
  hunyuanDense,
  hunyuanMoe,
];

/**
 * The class by which transformers generates with a model of a `model_type`; undefined for another
 * family's.
 */
export function generatingClass(modelType: string): string | undefined {
  const family = FAMILIES.find((f) => f.modelType === modelType);
  if (!family?.className) return undefined;
  return family.generatingClass ?? `${family.className}ForCausalLM`;
}

/**
 * The family of a `model_type`.
 * @throws {UnsupportedModelError} for any other; families are never guessed from tensor names.
 */
export function familyOf(modelType: string, file: string): Family {
  const family = FAMILIES.find((f) => f.modelType === modelType);
  if (family) return family;
  const lacks = whyNotRead(modelType);
  throw new UnsupportedModelError(
    `${file}: model_type is ${shown(modelType)}${
      lacks === undefined ? "" : `, of which Lopper does not compute that ${lacks}`
    }; Lopper reads ${FAMILIES.map((f) => f.modelType).join(", ")}`,
  );
}
