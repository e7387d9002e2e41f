import { type Backend, float32Data, int64, openBackend } from "@lopper/backends";
import { LopperError, UnsupportedModelError } from "@lopper/core";
import { exportOnnx } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { type Model, modelDigest, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { streamedLogits } from "@lopper/runtime";
import { maxAbsDifference } from "@lopper/backends/testing";
import { emptyPast, onnxLogits } from "../packages/exports/onnx_logits.ts";
import { heterogeneousPlan, MemoryOutput, prunedInMemory } from "./support/heterogeneous.ts";

const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));
const TOLERANCE = 1e-4;

const fixture = (path: string) => openModel(new FileFolder(`${FIXTURES}/${path}`));
const tokens = ({ architecture }: Model) =>
  Array.from({ length: 8 }, (_, i) => (5 * i + 3) % architecture.vocabSize);

function test(name: string, fn: (backend: Backend) => Promise<void>) {
  Deno.test({
    name: `ONNX source: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      await fn(backend);
      await backend[Symbol.asyncDispose]();
    },
  });
}

test("the graph of optimum, run by onnxruntime, has the logits of the model that Lopper reads from it", async (backend) => {
  const model = await fixture("onnx/llama-untied-optimum");
  const graph = await Deno.readFile(`${FIXTURES}/onnx/llama-untied-optimum/model.onnx`);
  const decoder = await backend.compile(graph);
  const ids = tokens(model);
  const difference = maxAbsDifference(
    await onnxLogits(decoder, model.architecture, ids),
    await streamedLogits(backend, model, ids),
  );
  assert.ok(difference <= TOLERANCE, `off by ${difference}`);
  model[Symbol.dispose]();
});

test("the graph of onnxruntime-genai's builder, too", async (backend) => {
  for (const name of ["llama-untied-builder", "qwen3-tied-builder"]) {
    const model = await fixture(`onnx/${name}`);
    const file = (path: string) => Deno.readFile(`${FIXTURES}/onnx/${name}/${path}`);
    const data = "model.onnx.data";
    const decoder = await backend.compile(await file("model.onnx"), { [data]: await file(data) });
    const ids = tokens(model);
    const { logits } = await decoder.run({
      input_ids: int64(ids, [1, ids.length]),
      attention_mask: int64(ids.map(() => 1), [1, ids.length]),
      ...emptyPast(model.architecture),
    });
    const difference = maxAbsDifference(
      float32Data({ logits }, "logits"),
      await streamedLogits(backend, model, ids),
    );
    assert.ok(difference <= TOLERANCE, `${name}: off by ${difference}`);
    model[Symbol.dispose]();
  }
});

/** A model as the ONNX files that Lopper writes of it, opened again. */
async function throughOnnx(model: Model, precision?: "fp16"): Promise<Model> {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open, { precision });
  return await openModel(output.folder("exported"));
}

const FAMILIES = [...Deno.readDirSync(`${FIXTURES}/families`)].map(({ name }) => name).sort();

/** The same, as versions wrote it whose config.json did not say what its own layers are. */
async function throughEarlierOnnx(model: Model): Promise<Model> {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open);
  const json = new TextDecoder().decode(output.files["config.json"]);
  const { lopper_config: _, ...config } = JSON.parse(json);
  return await openModel(
    new MemoryFolder("exported", { ...output.files, "config.json": JSON.stringify(config) }),
  );
}

/** Families of whose graphs Lopper needs no config that says what layers there are. */
const READ =
  /^(baichuan$|exaone4|granite(?!moe)|hunyuan_v1_dense|internvl|llama|llava|ministral3|mistral|olmo2|phi3|qwen[23](?!_moe)|seed_oss|smolvlm)/;

test("what earlier versions exported is the same model when it is opened again, layers of its own included", async () => {
  const refused = new Set<string>();
  for (const family of FAMILIES) {
    const source = await fixture(`families/${family}`);
    const pruned = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    for (const model of [source, pruned]) {
      const again = await throughEarlierOnnx(model).catch((error) => {
        if (!(error instanceof LopperError)) throw error;
        refused.add(family);
        return null;
      });
      if (!again) continue;
      // Of layers at the end that have lost both blocks, a graph shows nothing.
      const layerCount = model.architecture.blocks.at(-1)!.layer + 1;
      assert.deepEqual(again.architecture, { ...model.architecture, layerCount }, family);
      // A head whose rows are used at length 1 is stored as it is used.
      const unit = model.architecture.scaling?.unitHead === true;
      for (const { role, tensor } of model.weights) {
        if (unit && role.part === "lmHead") continue;
        assert.deepEqual(
          await again.store.readFloat32(tensor.name),
          await model.store.readFloat32(tensor.name),
          `${tensor.name} of ${family}`,
        );
      }
      const whole = layerCount === model.architecture.layerCount;
      if (whole && !unit && model.weights.every(({ tensor }) => tensor.dtype === "F32")) {
        assert.equal(await modelDigest(again), await modelDigest(model), family);
      }
    }
    source[Symbol.dispose]();
  }
  assert.deepEqual([...refused].filter((family) => READ.test(family)), []);
});

test("and computes the same", async (backend) => {
  for (const family of ["llama-odd-head", "mistral", "qwen3", "gemma3", "cohere2", "gpt_oss"]) {
    const source = await fixture(`families/${family}`);
    const pruned = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    const ids = tokens(pruned);
    const difference = maxAbsDifference(
      await streamedLogits(backend, await throughOnnx(pruned), ids),
      await streamedLogits(backend, pruned, ids),
    );
    assert.ok(difference <= TOLERANCE, `${family}: off by ${difference}`);
    source[Symbol.dispose]();
  }
});

test("an export in float16 is float16 again", async () => {
  const source = await fixture("families/llama-mha");
  const again = await throughOnnx(source, "fp16");
  assert.deepEqual(again.architecture, source.architecture);
  const dtypes = new Map(again.weights.map(({ tensor }) => [tensor.name, tensor.dtype]));
  assert.equal(dtypes.get("model.layers.0.mlp.gate_proj.weight"), "F16");
  for (const { tensor } of source.weights) {
    assert.deepEqual(
      await again.store.readFloat32(tensor.name),
      await source.store.readFloat32(tensor.name),
      tensor.name,
    );
  }
  source[Symbol.dispose]();
});

test("a quantised export is refused by the name of its first such node", async () => {
  const source = await fixture("families/llama-mha");
  const output = new MemoryOutput();
  await exportOnnx(source, output.open, { precision: "q4" });
  await assert.rejects(
    openModel(output.folder("exported")),
    /onnx\/model_q4\.onnx: node "MatMulNBits_\d+" is quantised .*open the model's fp32 or fp16 file/,
  );
  source[Symbol.dispose]();
});

test("queries of a graph grow as the config has it, or it is refused", async () => {
  const source = await fixture("families/ministral3-long");
  const output = new MemoryOutput();
  await exportOnnx(source, output.open);
  const config = JSON.parse(new TextDecoder().decode(output.files["config.json"]));
  const rope = config.rope_parameters;
  const refuses = (change: Record<string, unknown>, message: RegExp) =>
    assert.rejects(
      openModel(
        new MemoryFolder("m", {
          ...output.files,
          "config.json": JSON.stringify({ ...config, ...change }),
        }),
      ),
      (error) => {
        assert.ok(error instanceof UnsupportedModelError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  const grows = (change: Record<string, unknown>) => ({ rope_parameters: { ...rope, ...change } });
  await refuses(
    grows({ llama_4_scaling_beta: 0.3 }),
    /node "Log_\d+" makes queries grow otherwise \(0\.4\d*\); Lopper needs 1 \+ 0\.3 · ln/,
  );
  await refuses(
    grows({ llama_4_scaling_beta: 0 }),
    /node "\w+" is (Floor|Log), and Lopper does not/,
  );
  const other = { ...rope, original_max_position_embeddings: 16, factor: 2 };
  await refuses({ rope_parameters: other }, /otherwise \(8\)|rotary angles of the graph/);
  source[Symbol.dispose]();

  const plain = await fixture("families/mistral");
  const still = new MemoryOutput();
  await exportOnnx(plain, still.open);
  const { rope_theta: _, rope_scaling: __, ...said } = JSON.parse(
    new TextDecoder().decode(still.files["config.json"]),
  );
  const growing = {
    ...said,
    model_type: "ministral3",
    rope_parameters: {
      ...{ rope_type: "default", rope_theta: 10_000 },
      ...{ original_max_position_embeddings: 8, llama_4_scaling_beta: 0.1 },
    },
  };
  await assert.rejects(
    openModel(
      new MemoryFolder("m", { ...still.files, "config.json": JSON.stringify(growing) }),
    ),
    /queries do not grow with their positions \(no node is Floor\); Lopper needs 1 \+ 0\.1/,
  );
  plain[Symbol.dispose]();
});
