import { MemorySink, writeSafetensors } from "@lopper/formats";
import {
  architectureFromConfig,
  checkConfig,
  declaredTensors,
  packedEntries,
} from "@lopper/models";
import { fileURLToPath } from "node:url";
import { Random } from "./tiny_models.ts";

const DEMO = fileURLToPath(new URL("../../packages/demo-model/data/model", import.meta.url));
export const [EXPERTS, TOP_K, LAYERS, HIDDEN_SIZE] = [8, 2, 2, 24];

/** Writes a mixture of experts with the tokenizer of the embedded model, and returns its folder. */
export async function writeMixture(folder: string): Promise<string> {
  const json = {
    ...{ model_type: "qwen3_moe", hidden_size: HIDDEN_SIZE, intermediate_size: 40 },
    ...{ num_hidden_layers: LAYERS, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16 },
    ...{ num_experts: EXPERTS, num_experts_per_tok: TOP_K, moe_intermediate_size: 12 },
    ...{ vocab_size: 4096, max_position_embeddings: 256, rms_norm_eps: 1e-6 },
    ...{ norm_topk_prob: true, tie_word_embeddings: true, eos_token_id: 0 },
  };
  const { architecture, family } = architectureFromConfig(checkConfig(json, "c"), "c");
  const random = new Random(7);
  const entries = declaredTensors(architecture, family).map(({ role, name, shape }) => {
    const isNorm = name.endsWith("norm.weight");
    const count = shape.reduce((product, d) => product * d, 1);
    const scale = "weight" in role ? 2.5 / Math.sqrt(shape.at(-1)!) : 0.5;
    const values = Float32Array.from(
      { length: count },
      () => (isNorm ? 1 : 0) + (isNorm ? 0.2 : scale) * (2 * random.unit() - 1),
    );
    const bytes = new Uint8Array(values.buffer);
    return { name, dtype: "F32" as const, shape, data: () => Promise.resolve(bytes) };
  });
  const sink = new MemorySink();
  await writeSafetensors(sink, packedEntries(architecture, family, entries));
  await sink.commit();
  await Deno.mkdir(folder);
  await Deno.writeFile(`${folder}/model.safetensors`, sink.bytes);
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(json));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    await Deno.copyFile(`${DEMO}/${file}`, `${folder}/${file}`);
  }
  return folder;
}
