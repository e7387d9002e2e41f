import { CheckpointFormatError, densePlan, ExportError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { fromFloat32, MemoryFolder, MemorySink, writeSafetensors } from "@lopper/formats";
import {
  architectureFromConfig,
  configSchema,
  declaredTensors,
  type Model,
  modelDigest,
  openModel,
  plainConfig,
  writePrunedModel,
} from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  heterogeneousPlan,
  MemoryOutput,
  prunedInMemory,
} from "../../tests/support/heterogeneous.ts";
import { exportDeci } from "./deci/export.ts";
import { exportOnnx } from "./onnx_export.ts";
import { exportSafetensors } from "./safetensors_export.ts";
import { checkDifference } from "./verify.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const open = (family: string) => openModel(new FileFolder(`${FIXTURES}/${family}`));
const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

Deno.test("safetensors export: a uniform model is plain, and the same model", async () => {
  for (const family of ["llama-sharded", "mistral", "qwen2-untied-bf16", "qwen3-tied-mqa"]) {
    const model = await open(family);
    const output = new MemoryOutput();
    const { customCode, files } = await exportSafetensors(model, output.open);
    assert.equal(customCode, false);
    assert.deepEqual([...files].sort(), Object.keys(output.files).sort());
    assert.equal(files.at(-1), "config.json", "a folder with a config is whole");
    const again = await openModel(output.folder("export"));
    assert.equal(await modelDigest(again), await modelDigest(model), family);
    const { model_type, head_dim } = json(output.files["config.json"]);
    assert.equal(model_type, model.architecture.family);
    assert.equal(head_dim, model.architecture.headDim);
    model[Symbol.dispose]();
  }
});

Deno.test("safetensors export: layers of their own bring the code that knows them, under a type of their own", async () => {
  for (const family of ["llama-mha", "mistral-sliding", "qwen2", "qwen3", "olmo2"]) {
    const source = await open(family);
    const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    const output = new MemoryOutput();
    const { customCode, files } = await exportSafetensors(model, output.open);
    assert.equal(customCode, true);
    const config = json(output.files["config.json"]);
    // transformers would open the plain type by itself, and fill what is missing with random
    // numbers
    assert.equal(config.model_type, `lopper_${model.architecture.family}`);
    for (const reference of Object.values(config.auto_map) as string[]) {
      const [module, name] = reference.split(".");
      assert.ok(files.includes(`${module}.py`));
      // A class is made when it is asked for; tests/interop has transformers do so.
      const code = new TextDecoder().decode(output.files[`${module}.py`]);
      assert.match(name, /^Lopper[A-Z]\w+(Config|ForCausalLM)$/);
      assert.match(code, /^def __getattr__\(name\):$/m, reference);
    }
    const again = await openModel(output.folder("export"));
    assert.equal(await modelDigest(again), await modelDigest(model), family);
    // without what differs, it is a checkpoint like any other
    const { auto_map, model_type, architectures } = plainConfig(again.config);
    assert.deepEqual([auto_map, model_type], [undefined, model.architecture.family]);
    assert.deepEqual(architectures, source.config.architectures);
    source[Symbol.dispose]();
  }
});

Deno.test("exports: code that a config names is in none of what is written", async () => {
  const source = await open("llama-mha");
  const config = { ...source.config, auto_map: { AutoModelForCausalLM: "evil.Model" } };
  const uniform = { ...source, config };
  const pruned = await prunedInMemory(uniform, heterogeneousPlan(source.architecture));
  const writers = {
    safetensors: exportSafetensors,
    deci: exportDeci,
    onnx: (model: Model, open: MemoryOutput["open"]) => exportOnnx(model, open),
  };
  for (const [name, write] of Object.entries(writers)) {
    for (const model of [uniform, pruned]) {
      const output = new MemoryOutput();
      const { customCode } = await write(model, output.open);
      const own = name === "deci" || name === "safetensors" && model === pruned;
      assert.equal(customCode, own, name);
      const modules = Object.values(json(output.files["config.json"]).auto_map ?? {}) as string[];
      assert.ok(modules.every((m) => /^(configuration|modeling)_(lopper|decilm)\./.test(m)));
      const code = Object.keys(output.files).filter((file) => file.endsWith(".py"));
      assert.equal(code.length > 0, own, `${name}: ${code}`);
    }
  }
  source[Symbol.dispose]();
});

Deno.test("safetensors export: another dtype holds the nearest numbers", async () => {
  const model = await open("qwen2-untied-bf16");
  const output = new MemoryOutput();
  await exportSafetensors(model, output.open, { dtype: "F32" });
  assert.equal(json(output.files["config.json"]).dtype, "float32");
  const again = await openModel(output.folder("export"));
  for (const { tensor } of model.weights) {
    assert.equal(again.store.tensors.get(tensor.name)!.dtype, "F32");
    assert.deepEqual(
      await again.store.readFloat32(tensor.name),
      await model.store.readFloat32(tensor.name),
    );
  }
  model[Symbol.dispose]();
});

/** A model of one layer whose weights are all `value`. */
async function filled(value: number, change: Record<string, unknown> = {}): Promise<Model> {
  const config = {
    model_type: "llama",
    hidden_size: 8,
    intermediate_size: 4,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: 4,
    vocab_size: 3,
    max_position_embeddings: 8,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    ...change,
  };
  const { architecture, family } = architectureFromConfig(
    configSchema.parse(config),
    "config.json",
  );
  const sink = new MemorySink();
  await writeSafetensors(
    sink,
    declaredTensors(architecture, family).map(({ name, shape }) => ({
      name,
      shape,
      dtype: "F32",
      data: () =>
        Promise.resolve(
          fromFloat32("F32", new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value)),
        ),
    })),
  );
  await sink.commit();
  return await openModel(
    new MemoryFolder("filled", {
      "config.json": JSON.stringify(config),
      "model.safetensors": sink.bytes,
    }),
  );
}

Deno.test("safetensors export: what float16 cannot hold is refused by name", async () => {
  const fits = new MemoryOutput();
  await exportSafetensors(await filled(65_519), fits.open, { dtype: "F16" });
  await assert.rejects(
    exportSafetensors(await filled(-65_520), new MemoryOutput().open, { dtype: "F16" }),
    (error) =>
      error instanceof ExportError && /embed_tokens.*value 0 is -65520.*fp32/.test(error.message),
  );
  await assert.rejects(
    exportSafetensors(await filled(NaN), new MemoryOutput().open, { dtype: "F16" }),
    CheckpointFormatError,
  );
});

Deno.test("safetensors export: heads that do not divide the hidden size need our configuration in Llama", async () => {
  const typeOf = async (change: Record<string, unknown>) => {
    const output = new MemoryOutput();
    await exportSafetensors(await filled(1, change), output.open);
    await openModel(output.folder("export"));
    return json(output.files["config.json"]).model_type;
  };
  assert.equal(await typeOf({}), "llama");
  const odd = { num_attention_heads: 3, num_key_value_heads: 3 };
  assert.equal(await typeOf(odd), "lopper_llama");
});

Deno.test("safetensors export: what a run wrote is written the same, file by file", async () => {
  for (const family of ["llama-mha", "qwen2", "olmo2"]) {
    const source = await open(family);
    const { architecture } = source;
    const [all, one] = [densePlan(architecture, ""), heterogeneousPlan(architecture)];
    const removed = { attention: "removed", mlp: "removed" } as const;
    const fewer = { ...all, layers: all.layers.map((layer, i) => i === 1 ? removed : layer) };
    for (const plan of [all, one, fewer]) {
      const [run, exported] = [new MemoryOutput(), new MemoryOutput()];
      await writePrunedModel(source, plan, run.open);
      await exportSafetensors(await openModel(run.folder("run")), exported.open);
      // but for the order of its keys
      const [ours, theirs] = [run, exported].map(({ files }) => ({
        ...files,
        "config.json": json(files["config.json"]),
      }));
      assert.deepEqual(theirs, ours, family);
    }
    source[Symbol.dispose]();
  }
});

Deno.test("safetensors export: layers that are gone whole are gone from what an earlier version wrote, too", async () => {
  const source = await open("llama-mha");
  const output = new MemoryOutput();
  await exportSafetensors(source, output.open);
  const config = json(output.files["config.json"]);
  const { num_attention_heads: query_heads, num_key_value_heads: kv_heads, intermediate_size } =
    config;
  const whole = { attention: { query_heads, kv_heads }, mlp: { intermediate_size } };
  const layers = Array.from({ length: config.num_hidden_layers }, () => whole);
  const earlier = {
    ...config,
    num_hidden_layers: layers.length + 1,
    lopper: { schema: 1, layers: [...layers, { attention: null, mlp: null }] },
  };
  const files = { ...output.files, "config.json": JSON.stringify(earlier) };
  const again = new MemoryOutput();
  await exportSafetensors(await openModel(new MemoryFolder("earlier", files)), again.open);
  assert.deepEqual(json(again.files["config.json"]), config);
  source[Symbol.dispose]();
});

Deno.test("verification: a difference above the tolerance, or none that is a number, is one sentence", () => {
  const difference = { maxAbs: 1e-3, meanKl: 1e-9, sameTop: 1, positions: 4 };
  checkDifference(difference, 1e-3);
  for (const maxAbs of [1.1e-3, NaN]) {
    assert.throws(
      () => checkDifference({ ...difference, maxAbs }, 1e-3),
      (error) =>
        error instanceof ExportError && /over 4 tokens.*0\.001 is allowed/.test(error.message),
    );
  }
});
