import { assertRangesOfWeights } from "../testing/assert_ranges.ts";
import {
  CheckpointFormatError,
  densePlan,
  denseShape,
  firstRope,
  headsOf,
  UnsupportedModelError,
} from "@lopper/core";
import { FileSource } from "@lopper/files";
import { MemoryFolder, MemorySink, MemorySource } from "@lopper/formats";
import { modelDigest } from "../model.ts";
import { openModel } from "../open_model.ts";
import { writePrunedModel } from "../pruned_model.ts";
import type { Entry } from "@lopper/formats/testing";
import { float32Tensor, type TinyChange, tinyGguf, tinyTensor } from "../testing/tiny_gguf.ts";
import { openTokenizer } from "@lopper/tokenizers";
import { openGgufModel } from "./gguf_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/gguf/models", import.meta.url));

const open = (change: TinyChange = {}) =>
  openGgufModel(new MemorySource("m.gguf", tinyGguf(change)));
const fixture = async (name: string) =>
  await openGgufModel(await FileSource.open(`${FIXTURES}/${name}.gguf`));

async function refuses(change: TinyChange, kind: unknown, message: RegExp) {
  await assert.rejects(open(change), (error) => {
    assert.ok(error instanceof (kind as typeof Error), String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^m\.gguf/);
    return true;
  });
}
const refusesSetting = (message: RegExp, ...entries: Entry[]) =>
  refuses({ entries }, UnsupportedModelError, message);
const refusesValue = (message: RegExp, ...entries: Entry[]) =>
  refuses({ entries }, CheckpointFormatError, message);

Deno.test("GGUF model: quantised weights are F16, the others what they are", async () => {
  const model = await open();
  assert.equal(model.architecture.family, "llama");
  assert.equal(model.architecture.tiedEmbeddings, true);
  assert.deepEqual(denseShape(model.architecture.blocks), [{ kvGroups: 2 }, { channels: 64 }]);
  assert.equal(headsOf(model.architecture.blocks[0]).queryHeads, 4);
  assert.equal(model.architecture.norm.eps, 1e-5, "the shortest decimal of the float32");
  const dtypes = new Map(model.weights.map(({ tensor }) => [tensor.name, tensor.dtype]));
  assert.equal(dtypes.get("model.layers.0.mlp.gate_proj.weight"), "F16");
  assert.equal(dtypes.get("model.layers.0.self_attn.v_proj.weight"), "F16");
  assert.equal(dtypes.get("model.layers.0.self_attn.o_proj.weight"), "F32");
  assert.deepEqual(model.stored.quantised, { Q8_0: 8 * 34 + 48 * 34 + 64 * 34, Q4_0: 64 * 18 });
  assert.equal(
    model.weightBytes,
    model.weights.reduce((n, { tensor }) => n + tensor.byteLength, 0),
  );
  const bytes = await model.store.readBytes("model.layers.0.mlp.gate_proj.weight");
  assert.equal(bytes.length, 64 * 32 * 2);
  model[Symbol.dispose]();
});

Deno.test("GGUF model: any range of bytes is that of the whole tensor, interleaved rows or not", async () => {
  const model = await fixture("llama-mixed");
  await assertRangesOfWeights(model, [130, 700]);
  model[Symbol.dispose]();
});

Deno.test("GGUF model: what is written from it is the same model, and has its tokenizer", async () => {
  for (
    const name of [
      "llama-mixed",
      "llama-by-layer",
      "llama-rope-factors",
      "qwen2",
      "qwen3",
      "mistral-sliding",
      "gemma3",
      "tiny",
    ]
  ) {
    const model = name === "tiny" ? await open() : await fixture(name);
    const digest = await modelDigest(model);
    const plan = densePlan(model.architecture, digest);
    const sinks = new Map<string, MemorySink>();
    await writePrunedModel(model, plan, (file) => {
      sinks.set(file, new MemorySink());
      return Promise.resolve(sinks.get(file)!);
    });
    const files = Object.fromEntries([...sinks].map(([file, sink]) => [file, sink.bytes]));
    const folder = new MemoryFolder("written", files);
    const written = await openModel(folder);
    assert.equal(await modelDigest(written), digest, name);
    assert.equal(written.stored.quantised, null);
    if (name === "tiny") {
      using tokenizer = await openTokenizer(folder);
      assert.deepEqual(await tokenizer.encode("ab ab</s>b"), [5, 7, 2, 4]);
      assert.equal(tokenizer.eosTokenId, 2);
    }
    model[Symbol.dispose]();
  }
});

Deno.test("GGUF model: a folder with one GGUF file and no config.json is that model", async () => {
  const file = tinyGguf();
  const model = await openModel(new MemoryFolder("m", { "a.gguf": file, "README.md": "" }));
  assert.equal(model.name, "m/a.gguf");
  await assert.rejects(
    openModel(new MemoryFolder("m", { "a.gguf": file, "b.GGUF": file })),
    /m holds 2 GGUF files and no config\.json/,
  );
});

Deno.test("GGUF model: architectures and settings that Lopper does not compute are named", async () => {
  await refusesSetting(/general\.architecture is "mamba"; Lopper reads llama, qwen2, qwen3/, [
    "general.architecture",
    "string",
    "mamba",
  ]);
  await refusesSetting(/this is a LoRA adapter, no model: merge it first/, [
    "general.type",
    "string",
    "adapter",
  ]);
  await refusesSetting(/part 1 of 3 .*llama-gguf-split --merge/, ["split.count", "uint16", 3]);
  await refusesSetting(/quantization_version is 1/, ["general.quantization_version", "uint32", 1]);
  await refusesValue(/blk\.0\.ffn_gate\.weight.*none of the weights of the mixtral/, [
    "llama.expert_count",
    "uint32",
    8,
  ], ["llama.expert_used_count", "uint32", 2]);
  await refusesSetting(/llama\.logit_scale is 0\.5/, ["llama.logit_scale", "float32", 0.5]);
  await refusesSetting(/rope\.dimension_count is 4; Lopper needs the head size, 8/, [
    "llama.rope.dimension_count",
    "uint32",
    4,
  ]);
  await refusesSetting(/value_length is 16/, ["llama.attention.value_length", "uint32", 16]);
  await refusesSetting(/rope\.scaling\.type is "dynamic"/, [
    "llama.rope.scaling.type",
    "string",
    "dynamic",
  ]);
  // what says that there is no such thing is no obstacle
  await open({
    entries: [["llama.expert_count", "uint32", 0], ["llama.attention.causal", "bool", true]],
  });
});

Deno.test("GGUF model: mixtures that are routed as no file of the architecture says are named", async () => {
  const changed = async (family: string, key: string, value: number) => {
    const file = new URL(`../../../tests/fixtures/gguf/families/${family}.gguf`, import.meta.url);
    const bytes = await Deno.readFile(file);
    // Behind the key are the type of the value, in 4 bytes, and the value.
    const at = new TextDecoder("latin1").decode(bytes).indexOf(key) + key.length + 4;
    assert.ok(at > key.length + 4, key);
    new DataView(bytes.buffer).setUint32(at, value, true);
    return await openGgufModel(new MemorySource("m.gguf", bytes));
  };
  for (
    const [family, key, value, message] of [
      ["dots1", "dots1.expert_gating_func", 1, /expert_gating_func is 1; .* of dots1 with 2/],
      ["ernie4_5_moe", "ernie4_5-moe.interleave_moe_layer_step", 2, /step is 2; .* with 1/],
      // Layer 1 has an MLP then, and the tensors of a mixture.
      ["glm4_moe", "glm4moe.leading_dense_block_count", 2, /"model\.layers\.1\.mlp\./],
    ] as const
  ) {
    await assert.rejects(changed(family, key, value), message);
  }
});

Deno.test("GGUF model: a Granite that rotates nothing is named", async () => {
  const file = new URL("../../../tests/fixtures/gguf/families/granite.gguf", import.meta.url);
  const bytes = await Deno.readFile(file);
  const flag = (key: string, value: boolean) => {
    const entry = new Uint8Array(8 + key.length + 4 + 1);
    new DataView(entry.buffer).setUint32(0, key.length, true);
    entry.set(new TextEncoder().encode(key), 8);
    // The type of booleans is 7.
    entry.set([7, 0, 0, 0, Number(value)], 8 + key.length);
    return entry;
  };
  const opened = (rotates: boolean) => {
    // 64 bytes together, so that tensors stay where they are.
    const flags = [flag("granite.rope.scaling.finetuned", rotates), flag("test.any", false)];
    const longer = new Uint8Array(bytes.length + 64);
    longer.set(bytes.subarray(0, 24));
    longer.set(flags[0], 24);
    longer.set(flags[1], 24 + flags[0].length);
    longer.set(bytes.subarray(24), 24 + 64);
    const view = new DataView(longer.buffer);
    view.setUint32(16, view.getUint32(16, true) + 2, true);
    return openGgufModel(new MemorySource("m.gguf", longer));
  };
  (await opened(true))[Symbol.dispose]();
  await assert.rejects(opened(false), /finetuned is false; .* of granite with true/);
});

Deno.test("GGUF model: metadata that is missing or contradicts the tensors is named", async () => {
  for (const key of ["general.architecture", "llama.block_count", "llama.attention.head_count"]) {
    await refuses({ without: [key] }, CheckpointFormatError, new RegExp(`lacks ${key}`));
  }
  await refusesValue(/llama\.block_count: its type is string/, [
    "llama.block_count",
    "string",
    "1",
  ]);
  await refusesValue(/num_hidden_layers/, ["llama.block_count", "uint32", 2 ** 31 - 1]);
  await refusesValue(/head_count: it is 0/, ["llama.attention.head_count", "uint32", 0]);
  await refusesValue(/head_count: it has 2 numbers for 1 layers/, [
    ...["llama.attention.head_count", "array", "int32", [4, 4]] as const,
  ]);
  await refusesValue(/feed_forward_length: it is -1 for layer 0/, [
    ...["llama.feed_forward_length", "array", "int32", [-1]] as const,
  ]);
  await refusesValue(/llama\.vocab_size: 9 tokens .* 8 rows/, ["llama.vocab_size", "uint32", 9]);
  await refusesValue(
    /tensor "model\.layers\.0\.mlp\.gate_proj\.weight".*the metadata needs \[96, 32\]/,
    [
      ...["llama.feed_forward_length", "uint32", 96] as const,
    ],
  );
  const without = (name: string) => ({ withoutTensors: [name] });
  await refuses(
    without("token_embd.weight"),
    CheckpointFormatError,
    /"token_embd\.weight".*missing/,
  );
  await refuses(without("blk.0.ffn_up.weight"), CheckpointFormatError, /up_proj.*missing/);
  const extra = (name: string) => ({ tensors: [{ ...tinyTensor("output_norm.weight"), name }] });
  await refuses(extra("blk.0.ffn_gate_inp.weight"), CheckpointFormatError, /none of the weights/);
  // a name of the other format is not taken for the weight that it names there
  await refuses(extra("model.norm.weight"), CheckpointFormatError, /none of the weights/);
  await refuses(extra("blk.7.ffn_norm.weight"), CheckpointFormatError, /does not declare this/);
});

Deno.test("GGUF model: frequency factors are those of Llama 3.1, or none, or refused", async () => {
  const factors = (...values: number[]) => ({
    entries: [["llama.rope.freq_base", "float32", 500_000]] as Entry[],
    tensors: [float32Tensor("rope_freqs.weight", [values.length], values)],
  });
  const none = await open(factors(1, 1, 1, 1));
  assert.equal(firstRope(none.architecture)?.scaling, null);
  // at a head size of 8: one turn in 6, 167, 4,442 and 118,000 tokens
  const turns = 8192 / (2 * Math.PI * 500_000 ** (2 / 4));
  const smooth = (turns - 1) / 3;
  const llama3 = await open(factors(1, 1, 1 / ((1 - smooth) / 32 + smooth), 32));
  assert.deepEqual(firstRope(llama3.architecture), {
    theta: 500_000,
    scaling: {
      type: "llama3",
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 8192,
    },
  });
  await refuses(factors(1, 2, 4, 8), UnsupportedModelError, /not those of Llama 3\.1/);
  await refuses(
    factors(1, 1, 1),
    CheckpointFormatError,
    /"rope_freqs\.weight".*needs to be F32 \[4\]/,
  );
  await refuses(factors(1, 1, NaN, 8), CheckpointFormatError, /value 2 is NaN/);
});

Deno.test("GGUF model: a scale that is not finite is named with the block that has it", async () => {
  const name = "blk.0.attn_q.weight";
  const whole = tinyTensor(name);
  const data = whole.data.slice();
  data.set([0x00, 0x7e], 5 * 34); // NaN; row 5 of the file is row 6 of the weight
  const model = await open({ tensors: [{ ...whole, data }] });
  const { offset } = model.store.tensors.get("model.layers.0.self_attn.q_proj.weight")!;
  await assert.rejects(
    model.store.readHalves("model.layers.0.self_attn.q_proj.weight"),
    (error) => {
      assert.ok(error instanceof CheckpointFormatError);
      assert.match(error.message, /value 192 is NaN/);
      assert.equal(error.location.offset, offset + 5 * 34);
      return true;
    },
  );
  await assert.rejects(
    model.store.readFloat32("model.layers.0.self_attn.q_proj.weight"),
    /value 192 is NaN/,
  );
});

Deno.test("GGUF model: a value that F16 cannot hold is named, not made infinite", async () => {
  const name = "blk.0.ffn_down.weight";
  const whole = tinyTensor(name);
  const data = whole.data.slice();
  data.set([0xff, 0x7b, 1, 2], 3 * 68 + 34); // 65504 times 1 and 2
  const model = await open({ tensors: [{ ...whole, data }] });
  await assert.rejects(
    model.store.readHalves("model.layers.0.mlp.down_proj.weight"),
    /down_proj.*a value of row 3 is 131008.*F16/,
  );
});

Deno.test("GGUF model: tokenizers that Lopper cannot make are named", async () => {
  const refusesTokenizer = async (message: RegExp, ...entries: Entry[]) => {
    const model = await open({ entries });
    await assert.rejects(openTokenizer(model.folder), message);
  };
  await refusesTokenizer(/tokenizer\.ggml\.model is "bert"/, [
    "tokenizer.ggml.model",
    "string",
    "bert",
  ]);
  await refusesTokenizer(/tokenizer\.ggml\.pre is "chameleon"/, [
    "tokenizer.ggml.pre",
    "string",
    "chameleon",
  ]);
  await refusesTokenizer(/"a c" is no pair/, ["tokenizer.ggml.merges", "array", "string", ["a c"]]);
  await refusesTokenizer(/"a" is token 0 and token 1/, [
    ...["tokenizer.ggml.tokens", "array", "string", ["a", "a"]] as const,
  ]);
  await refusesTokenizer(/1 types for 8 tokens/, [
    ...["tokenizer.ggml.token_type", "array", "int32", [1]] as const,
  ]);
  await refusesTokenizer(/it is 8 and there are 8 tokens/, [
    "tokenizer.ggml.unknown_token_id",
    "uint32",
    8,
  ]);
  await refusesTokenizer(/scores: it needs a finite number/, [
    "tokenizer.ggml.model",
    "string",
    "llama",
  ]);
  const noBos = await open({
    entries: [["tokenizer.ggml.add_bos_token", "bool", true]],
    without: ["tokenizer.ggml.bos_token_id"],
  });
  await assert.rejects(
    openTokenizer(noBos.folder),
    /bos_token_id: it is missing, and texts are to/,
  );
  const none = await open({ without: ["tokenizer.ggml.model"] });
  assert.equal(await none.folder.has("tokenizer.json"), false);
});
