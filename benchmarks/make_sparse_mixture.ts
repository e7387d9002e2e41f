/**
 * Writes a checkpoint of Qwen3-30B-A3B's shape whose file has holes: embedding, LM head, norms and
 * routers have values, and attention and experts are zeros that take no room on the disk, and are
 * read and multiplied like any other. Tokens go to experts as their embeddings and the routers say.
 * The tokenizer is that of the embedded model, and only its ids have rows that are not zeros.
 *
 * Usage: deno run -A benchmarks/make_sparse_mixture.ts OUT_DIR [--layers N] [--experts N]
 */
import { writeTextFileAtomically } from "@lopper/files";
import { fromFloat32 } from "@lopper/formats";
import { architectureFromConfig, checkConfig, declaredTensors } from "@lopper/models";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

const SEED = 13;
/** Ids of the embedded model's tokenizer. */
const TOKENS = 4096;
const TOKENIZER = new URL("../packages/demo-model/data/model/", import.meta.url);
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];

const { values: flags, positionals: [out, ...rest] } = parseArgs({
  args: Deno.args,
  options: {
    layers: { type: "string", default: "48" },
    experts: { type: "string", default: "128" },
  },
  allowPositionals: true,
});
const [layers, experts] = [Number(flags.layers), Number(flags.experts)];
if (!out || rest.length > 0 || !(layers >= 1) || !(experts >= 8)) {
  console.error("usage: make_sparse_mixture.ts OUT_DIR [--layers N] [--experts N], 8 at least");
  Deno.exit(2);
}

const config = {
  architectures: ["Qwen3MoeForCausalLM"],
  model_type: "qwen3_moe",
  dtype: "bfloat16",
  hidden_size: 2048,
  intermediate_size: 6144,
  moe_intermediate_size: 768,
  num_hidden_layers: layers,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  num_experts: experts,
  num_experts_per_tok: 8,
  norm_topk_prob: true,
  decoder_sparse_step: 1,
  mlp_only_layers: [],
  head_dim: 128,
  vocab_size: 151_936,
  max_position_embeddings: 40_960,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  hidden_act: "silu",
  attention_bias: false,
  tie_word_embeddings: false,
  bos_token_id: 0,
  eos_token_id: 0,
};
const random = xoroshiro128plus(SEED);

/** BF16 values around a centre. */
function values(count: number, centre: number, spread: number): Uint8Array {
  const drawn = Float32Array.from(
    { length: count },
    () => centre + spread * (2 * uniformFloat64(random) - 1),
  );
  return fromFloat32("BF16", drawn);
}

const checked = checkConfig(config, "config.json");
const { architecture, family } = architectureFromConfig(checked, "config.json");
const declared = declaredTensors(architecture, family);
/** As the files of this family have them: a tensor for each matrix of each expert. */
const tensors = declared.flatMap(({ name, shape: [first, ...others] }) =>
  others.length < 2 ? [{ name, shape: [first, ...others] }] : Array.from(
    { length: first },
    (_, expert) => ({ name: name.replace("experts.", `experts.${expert}.`), shape: others }),
  )
);
let end = 0;
const header: Record<string, unknown> = {};
const places = new Map<string, number>();
for (const { name, shape } of tensors) {
  const bytes = shape.reduce((product, d) => product * d, 2);
  header[name] = { dtype: "BF16", shape, data_offsets: [end, end + bytes] };
  places.set(name, end);
  end += bytes;
}
const text = JSON.stringify(header);
const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
const start = 8 + json.byteLength;

await Deno.mkdir(out, { recursive: true });
using file = await Deno.open(join(out, "model.safetensors"), {
  ...{ write: true, create: true, truncate: true },
});
await file.truncate(start + end);
async function put(offset: number, bytes: Uint8Array) {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.byteLength;) done += await file.write(bytes.subarray(done));
}
const size = new Uint8Array(8);
new DataView(size.buffer).setBigUint64(0, BigInt(json.byteLength), true);
await put(0, size);
await put(8, json);
const { hiddenSize } = architecture;
for (const { role, name, shape } of declared) {
  const offset = start + (places.get(name) ?? 0);
  const weight = "weight" in role ? role.weight : role.part;
  if (weight === "embedding" || weight === "lmHead") {
    await put(offset, values(TOKENS * hiddenSize, 0, 0.05));
  } else if (/norm$/i.test(weight)) {
    await put(offset, values(shape[0], 1, 0.1));
  } else if (weight === "router") {
    await put(offset, values(shape[0] * hiddenSize, 0, 0.05));
  }
}
for (const name of TOKENIZER_FILES) await Deno.copyFile(new URL(name, TOKENIZER), join(out, name));
await writeTextFileAtomically(join(out, "config.json"), JSON.stringify(config, null, 2));
console.log(`${((start + end) / 1e9).toFixed(1)} GB in ${tensors.length} tensors, in ${out}`);
