import {
  CheckpointFormatError,
  planOfKept,
  type PrunePlan,
  UnsupportedModelError,
} from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { MemoryFolder, MemorySink, openTensorStore, writeSafetensors } from "@lopper/formats";
import { architectureFromConfig } from "./config.ts";
import { checkConfig } from "./config_kind.ts";
import { usualSizes, WRAPPERS } from "./families/wrappers.ts";
import type { Model } from "./model.ts";
import { openModel } from "./open_model.ts";
import { writePrunedModel } from "./pruned_model.ts";
import { textPartOf } from "./whole_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const PROCESSOR = "preprocessor_config.json";

/** A fixture in memory, with a file about images beside it. */
async function fixture(name: string): Promise<Record<string, Uint8Array>> {
  const folder = new FileFolder(`${FIXTURES}/${name}`);
  const read = async (file: string) => [file, await folder.readBytes(file, 1e6)] as const;
  return {
    ...Object.fromEntries([await read("config.json"), await read("model.safetensors")]),
    [PROCESSOR]: new TextEncoder().encode("{}"),
  };
}

const configOf = (files: Readonly<Record<string, Uint8Array>>) =>
  JSON.parse(new TextDecoder().decode(files["config.json"]));
const encoded = (json: unknown) => new TextEncoder().encode(JSON.stringify(json));

/** The files that are written of a part of a model. */
async function written(model: Model, plan: PrunePlan): Promise<Record<string, Uint8Array>> {
  const sinks = new Map<string, MemorySink>();
  await writePrunedModel(model, plan, (file) => {
    const sink = new MemorySink();
    sinks.set(file, sink);
    return Promise.resolve(sink);
  });
  return Object.fromEntries([...sinks].map(([file, sink]) => [file, sink.bytes]));
}

/** Every other channel of the first `layers` layers. */
function narrower({ architecture }: Model, layers: number): PrunePlan {
  const { blocks } = architecture;
  const kept = blocks.map((block) => {
    const [{ name, units }] = block.dimensions;
    const all = Array.from({ length: units }, (_, unit) => unit);
    const halves = name === "channels" && block.layer < layers;
    return { [name]: halves ? all.filter((unit) => unit % 2 === 0) : all };
  });
  return planOfKept(architecture, kept, { modelDigest: "", removalOrder: [] });
}

const isText = (name: string) => /^(model\.)?(language|text)_model\.|^lm_head\./.test(name);

for (const { modelType, parts } of WRAPPERS) {
  Deno.test(`${modelType}: its text model is written in the whole where layers are alike, else alone`, async () => {
    const files = await fixture(modelType);
    const folder = new MemoryFolder("m", files);
    const source = await openTensorStore(folder);
    using model = await openModel(folder);
    const [note, ...more] = model.notes;
    assert.match(
      note,
      new RegExp(`^of this ${modelType} the text model is read, and \\d+ tensors`),
    );
    assert.deepEqual(more, [], "files about images go along");

    const alike = await written(model, narrower(model, 9));
    const store = await openTensorStore(new MemoryFolder("w", alike));
    const names = [...source.tensors.keys()];
    assert.deepEqual([...store.tensors.keys()].sort(), names.toSorted());
    const others = names.filter((name) => !isText(name));
    assert.ok(others.length > 0 && others.every((name) => parts.some((p) => name.includes(p))));
    for (const name of others) {
      assert.deepEqual(await store.readBytes(name), await source.readBytes(name), name);
    }
    const [before, after] = [configOf(files), configOf(alike)];
    const width = before.text_config.intermediate_size;
    assert.equal(after.text_config.intermediate_size, width / 2);
    assert.deepEqual(after.vision_config, before.vision_config);
    assert.deepEqual(after.architectures, before.architectures);
    assert.deepEqual(alike[PROCESSOR], files[PROCESSOR]);
    // transformers takes no 1 where it wants a 1.0, of towers either
    const text = new TextDecoder().decode(alike["config.json"]);
    assert.doesNotMatch(text, /"initializer_factor": \d+,/);

    const differ = await written(model, narrower(model, 1));
    const alone = await openTensorStore(new MemoryFolder("w", differ));
    assert.ok([...alone.tensors.keys()].every((name) => /^model\.|^lm_head\./.test(name)));
    assert.equal(configOf(differ).model_type, `lopper_${model.family.modelType}`);
    assert.equal(differ[PROCESSOR], undefined);
    using reopened = await openModel(new MemoryFolder("w", differ));
    assert.equal(reopened.stored.whole, null);
    for (const one of [source, store, alone]) one.close();
  });
}

Deno.test("whole model: what its text_config lacks is what transformers makes of it", () => {
  // As google/gemma-3-4b-it has it.
  const part = textPartOf({
    architectures: ["Gemma3ForConditionalGeneration"],
    ...{ boi_token_index: 255999, eoi_token_index: 256000, eos_token_id: [1, 106] },
    ...{ image_token_index: 262144, model_type: "gemma3", torch_dtype: "bfloat16" },
    text_config: {
      ...{ hidden_size: 2560, intermediate_size: 10240, model_type: "gemma3_text" },
      ...{ num_hidden_layers: 34, sliding_window: 1024 },
      rope_scaling: { factor: 8, rope_type: "linear" },
    },
    vision_config: { model_type: "siglip_vision_model" },
  }, "config.json")!;
  const { architecture } = architectureFromConfig(checkConfig(part.text, "c"), "c");
  assert.equal(architecture.vocabSize, 262_208);
  assert.equal(architecture.headDim, 256);
  assert.equal(architecture.tiedEmbeddings, true);
  assert.deepEqual(architecture.eosTokenIds, [1, 106]);
  assert.equal(part.text.torch_dtype, "bfloat16");
  const [{ dimensions, attention }] = architecture.blocks;
  assert.deepEqual(dimensions, [{ name: "kvGroups", units: 4 }]);
  assert.deepEqual(attention!.channels, { dimension: "kvGroups", width: 2 * 256 });
  assert.equal(attention!.window, 1024);
  const full = architecture.blocks.filter((block) => block.attention?.window === null);
  assert.deepEqual(full.map(({ layer }) => layer), [5, 11, 17, 23, 29]);
  assert.deepEqual(full[0].attention!.rope!.scaling, { type: "linear", factor: 8 });
});

Deno.test("whole model: sizes that a text_config leaves out are those of its class in transformers", async () => {
  const fixture = new URL("../../tests/fixtures/config_attributes.json", import.meta.url);
  const { attributes } = JSON.parse(await Deno.readTextFile(fixture));
  const types = ["gemma3_text", "llama", "ministral3", "mistral", "qwen2", "qwen3"];
  for (const type of types) {
    const sizes = usualSizes(type);
    assert.equal(Object.keys(sizes).length, 5, type);
    for (const [key, size] of Object.entries(sizes)) assert.equal(size, attributes[type][key], key);
  }
  assert.deepEqual(usualSizes("phi3"), {});
  assert.ok(WRAPPERS.every(({ text }) => types.includes(text)));
  // As llava-hf/llava-v1.6-mistral-7b-hf has it.
  const { text } = textPartOf({
    ...{ model_type: "llava_next", image_token_index: 32000, torch_dtype: "float16" },
    text_config: {
      ...{ intermediate_size: 14336, max_position_embeddings: 32768, model_type: "mistral" },
      ...{ num_key_value_heads: 8, rms_norm_eps: 1e-5, rope_theta: 1e6, sliding_window: null },
      vocab_size: 32064,
    },
  }, "c")!;
  const { architecture } = architectureFromConfig(checkConfig(text, "c"), "c");
  assert.deepEqual(
    [architecture.hiddenSize, architecture.layerCount, architecture.vocabSize],
    [4096, 32, 32064],
  );
});

Deno.test("whole model: what it says of its head and of its weights counts for its text model", () => {
  const text = (json: Record<string, unknown>) =>
    textPartOf({ model_type: "llava", text_config: {}, ...json }, "c")!.text;
  const tied = "tie_word_embeddings";
  assert.equal(text({})[tied], false);
  assert.equal(text({ text_config: { [tied]: true } })[tied], true);
  assert.equal(text({ text_config: { [tied]: true }, [tied]: false })[tied], false);
  assert.equal(text({}).model_type, "llama");
  assert.equal(text({ text_config: { model_type: "mistral" } }).model_type, "mistral");
  const quantised = text({ quantization_config: { quant_method: "fp8" } });
  assert.throws(() => checkConfig(quantised, "c"), /the weights are quantised \(FP8\)/);
  assert.equal(textPartOf({ model_type: "llama" }, "c"), null);
});

Deno.test("whole model: what is none, or holds what nobody declares, is refused in a sentence", async () => {
  const files = await fixture("llava");
  const config = configOf(files);
  const refuses = async (
    change: Record<string, Uint8Array>,
    kind: typeof CheckpointFormatError | typeof UnsupportedModelError,
    message: RegExp,
  ) =>
    await assert.rejects(openModel(new MemoryFolder("m", { ...files, ...change })), (error) => {
      assert.ok(error instanceof kind, String(error));
      assert.match(error.message, message);
      return true;
    });
  const withConfig = (change: Record<string, unknown>) => ({
    "config.json": encoded({ ...config, ...change }),
  });
  const text = config.text_config;
  await refuses(
    withConfig({ text_config: undefined }),
    CheckpointFormatError,
    /at text_config: it is missing; Lopper needs the config of the text model there/,
  );
  await refuses(
    withConfig({ text_config: { ...text, model_type: "bloom" } }),
    UnsupportedModelError,
    /config\.json \(text_config\): model_type is "bloom"; Lopper reads llama/,
  );
  await refuses(
    withConfig({ text_config: { ...text, layer_types: ["conv"], model_type: "lfm2" } }),
    UnsupportedModelError,
    /\(text_config\): model_type is "lfm2": layer 0 is "conv"/,
  );
  const tensors = async (rename: (name: string) => string | null) => {
    const store = await openTensorStore(new MemoryFolder("m", files));
    const sink = new MemorySink();
    await writeSafetensors(
      sink,
      [...store.tensors.values()].flatMap((tensor) => {
        const name = rename(tensor.name);
        return name === null ? [] : [{ ...tensor, name, data: () => store.readBytes(tensor.name) }];
      }),
    );
    await sink.commit();
    return { "model.safetensors": sink.bytes };
  };
  const odd = (from: string, to: string) => tensors((name) => name === from ? to : name);
  await refuses(
    await odd("multi_modal_projector.linear_1.bias", "talker.bias"),
    CheckpointFormatError,
    /config\.json does not declare this tensor.*talker\.bias|talker\.bias.*does not declare/,
  );
  await refuses(
    await odd("multi_modal_projector.linear_1.bias", "model.norm.weight"),
    CheckpointFormatError,
    /model\.norm\.weight is the same weight under another name; one counts/,
  );
  await refuses(
    await tensors((name) => isText(name) ? null : name),
    CheckpointFormatError,
    /no tensor is one of its text model: their names begin with "model\.language_model\." or "lang/,
  );
});
