/**
 * Writes a checkpoint of the shape of SmolLM2-135M, TinyLlama-1.1B or Llama-3-8B with random
 * weights: what a run takes does not depend on what the weights are worth. Matrices and biases are
 * normal with standard deviation 0.02, norms are 1, everything is BF16, and the same weights come
 * out every time. The tokenizer is that of the embedded model, whose ids are all below these
 * vocabularies.
 *
 * Usage: deno run -A benchmarks/make_random_model.ts OUT_DIR [--shape 135M|1.1B|8B] [--layers N]
 *          [--family llama|mistral|qwen2|qwen3]
 */
import { FileSink, writeTextFileAtomically } from "@lopper/files";
import { fromFloat32, type TensorEntry, writeSafetensors } from "@lopper/formats";
import { architectureFromConfig, configSchema, declaredTensors } from "@lopper/models";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

const SEED = 11;
const STANDARD_DEVIATION = 0.02;
/**
 * Values that a weight may have: a 16-bit random number picks one, so that a billion take seconds,
 * not minutes.
 */
const TABLE_SIZE = 65_536;
const TOKENIZER = new URL("../packages/demo-model/data/model/", import.meta.url);
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];

/** What differs, in the words of a config. */
const SHAPES = {
  "135M": {
    ...{ hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30 },
    ...{ num_attention_heads: 9, num_key_value_heads: 3, head_dim: 64 },
    ...{ vocab_size: 49_152, max_position_embeddings: 8192, rope_theta: 100_000 },
    tie_word_embeddings: true,
  },
  "1.1B": {
    ...{ hidden_size: 2048, intermediate_size: 5632, num_hidden_layers: 22 },
    ...{ num_attention_heads: 32, num_key_value_heads: 4, head_dim: 64 },
    ...{ vocab_size: 32_000, max_position_embeddings: 2048, rope_theta: 10_000 },
  },
  "8B": {
    ...{ hidden_size: 4096, intermediate_size: 14_336, num_hidden_layers: 32 },
    ...{ num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128 },
    ...{ vocab_size: 128_256, max_position_embeddings: 8192, rope_theta: 500_000 },
  },
};

/** What configs of a family say that those of Llama do not. */
const FAMILIES = {
  llama: { architectures: ["LlamaForCausalLM"], attention_bias: false, mlp_bias: false },
  mistral: { architectures: ["MistralForCausalLM"], sliding_window: null },
  qwen2: { architectures: ["Qwen2ForCausalLM"], use_sliding_window: false },
  qwen3: {
    ...{ architectures: ["Qwen3ForCausalLM"], attention_bias: false, use_sliding_window: false },
  },
};

const { values: flags, positionals: [out, ...rest] } = parseArgs({
  args: Deno.args,
  options: {
    shape: { type: "string", default: "1.1B" },
    layers: { type: "string" },
    family: { type: "string", default: "llama" },
  },
  allowPositionals: true,
});
const shape = new Map(Object.entries(SHAPES)).get(flags.shape);
const own = new Map(Object.entries(FAMILIES)).get(flags.family);
const layerCount = Number(flags.layers ?? shape?.num_hidden_layers);
if (!out || rest.length > 0 || !shape || !own || !Number.isInteger(layerCount) || layerCount < 1) {
  console.error(
    "usage: make_random_model.ts OUT_DIR [--shape 135M|1.1B|8B] [--layers N] " +
      "[--family llama|mistral|qwen2|qwen3], N at least 1",
  );
  Deno.exit(2);
}

const config = {
  model_type: flags.family,
  ...own,
  dtype: "bfloat16",
  tie_word_embeddings: false,
  ...shape,
  num_hidden_layers: layerCount,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  bos_token_id: 0,
  eos_token_id: 0,
};
const { architecture, family } = architectureFromConfig(configSchema.parse(config), "config.json");

const random = xoroshiro128plus(SEED);
random.jump();

/** Bit patterns of normal BF16 values (Box and Muller's transform). */
function normalTable(): Uint16Array {
  const values = new Float32Array(TABLE_SIZE);
  for (let i = 0; i < TABLE_SIZE; i += 2) {
    const radius = STANDARD_DEVIATION * Math.sqrt(-2 * Math.log(1 - uniformFloat64(random)));
    const angle = 2 * Math.PI * uniformFloat64(random);
    values[i] = radius * Math.cos(angle);
    values[i + 1] = radius * Math.sin(angle);
  }
  return new Uint16Array(fromFloat32("BF16", values).buffer);
}

const table = normalTable();
const [one] = new Uint16Array(fromFloat32("BF16", Float32Array.of(1)).buffer);
const entries: TensorEntry[] = [];
/**
 * One tensor is asked for at a time, and written before the next: all share the memory of the
 * largest.
 */
let buffer = new Uint16Array(0);

function add(name: string, shape: readonly number[]) {
  const count = shape.reduce((product, d) => product * d, 1);
  const data = () => {
    if (buffer.length < count) buffer = new Uint16Array(count);
    const halves = buffer.subarray(0, count);
    if (shape.length === 1 && !name.endsWith("bias")) halves.fill(one);
    else fillFromTable(halves);
    return Promise.resolve(new Uint8Array(buffer.buffer, 0, 2 * count));
  };
  entries.push({ name, dtype: "BF16", shape, data });
}

/** Two values from each random number. */
function fillFromTable(halves: Uint16Array) {
  for (let i = 0; i < halves.length; i += 2) {
    const bits = random.next();
    halves[i] = table[bits & 0xffff];
    // past the end of an odd length nothing is stored
    halves[i + 1] = table[bits >>> 16];
  }
}

for (const { name, shape } of declaredTensors(architecture, family)) add(name, shape);

const started = performance.now();
await Deno.mkdir(out, { recursive: true });
const sink = await FileSink.open(join(out, "model.safetensors"));
try {
  await writeSafetensors(sink, entries);
  await sink.commit();
} catch (error) {
  await sink.abort();
  throw error;
}
for (const file of TOKENIZER_FILES) {
  await writeTextFileAtomically(
    join(out, file),
    await Deno.readTextFile(new URL(file, TOKENIZER)),
  );
}
// Last: a folder with a config is whole.
await writeTextFileAtomically(join(out, "config.json"), JSON.stringify(config, null, 2) + "\n");
const bytes = entries.reduce((sum, { shape }) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0);
const seconds = (performance.now() - started) / 1000;
console.log(`${out}: ${entries.length} tensors, ${bytes} bytes, in ${seconds.toFixed(1)} s`);
