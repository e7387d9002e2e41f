import { type Backend, type Executable, float32Data, int64, openBackend } from "@lopper/backends";
import { ExportError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { ModelProtoSchema } from "onnx-buf";
import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  heterogeneousPlan,
  MemoryOutput,
  prunedInMemory,
} from "../../tests/support/heterogeneous.ts";
import { compareLogits } from "./compare_logits.ts";
import type { ExportPrecision } from "./export.ts";
import { exportOnnx, onnxFile } from "./onnx_export.ts";
import { emptyPast, onnxLogits } from "./onnx_logits.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const FAMILIES = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
const TOLERANCE = 1e-4;

interface Case {
  readonly input_ids: readonly (readonly number[])[];
  readonly logits: string;
}

const open = (family: string) => openModel(new FileFolder(`${FIXTURES}/${family}`));
const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name: `onnx export: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

/** The files of an export, and its decoder. */
async function exported(
  model: Model,
  backend: Backend,
  precision: ExportPrecision = "fp32",
  maxFileBytes?: number,
): Promise<{ files: Readonly<Record<string, Uint8Array>>; decoder: Executable }> {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open, { precision, maxFileBytes });
  const { files } = output;
  const weights = Object.fromEntries(
    Object.entries(files).filter(([path]) => path.includes("onnx_data"))
      .map(([path, bytes]) => [path.replace("onnx/", ""), bytes]),
  );
  return { files, decoder: await backend.compile(files[onnxFile(precision)], weights) };
}

function close(a: Float32Array, b: Float32Array, model: Model, tolerance = TOLERANCE) {
  const { maxAbs } = compareLogits(a, b, model.architecture.vocabSize);
  assert.ok(maxAbs <= tolerance, `logits off by ${maxAbs}`);
}

for (const name of ["cpu", "wasm"] as const) {
  for (const family of FAMILIES) {
    test(`${family} on ${name} has the logits of transformers, through its cache`, async () => {
      const { backend } = await openBackend(name, { threads: 1 });
      const model = await open(family);
      const expected = json(await Deno.readFile(`${FIXTURES}/${family}/expected.json`));
      const { decoder } = await exported(model, backend);
      const cases: Case[] = [
        ...expected.cases,
        ...(expected.beyond_window ? [expected.beyond_window] : []),
      ];
      for (const { input_ids, logits } of cases) {
        const wanted = new Float32Array(
          Uint8Array.from(atob(logits), (c) => c.charCodeAt(0)).buffer,
        );
        const size = wanted.length / input_ids.length;
        for (const [i, ids] of input_ids.entries()) {
          const row = wanted.subarray(i * size, (i + 1) * size);
          close(row, await onnxLogits(decoder, model.architecture, ids), model);
        }
      }
      await backend[Symbol.asyncDispose]();
      model[Symbol.dispose]();
    });
  }

  for (const family of ["llama-mha", "llama-odd-head", "mistral", "qwen2", "qwen3"]) {
    test(`${family} with layers of their own on ${name}, as it is and behind padding`, async () => {
      const { backend } = await openBackend(name, { threads: 1 });
      const source = await open(family);
      const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
      const own = new Decoder(backend, await LaidOutWeights.load(model));
      const { decoder } = await exported(model, backend);
      const ids = Array.from({ length: 9 }, (_, i) => (5 * i + 3) % model.architecture.vocabSize);
      const reference = await sequenceLogits(own, [ids]);
      close(reference, await onnxLogits(decoder, model.architecture, ids), model);

      // the first sequence of the batch is three tokens shorter
      const short = ids.slice(3);
      const fetches = await decoder.run({
        input_ids: int64([...[0, 0, 0], ...short, ...ids], [2, 9]),
        attention_mask: int64([...[0, 0, 0], ...new Array(15).fill(1)], [2, 9]),
        position_ids: int64(
          [...[1, 1, 1], ...short.map((_, i) => i), ...ids.map((_, i) => i)],
          [2, 9],
        ),
        ...emptyPast(model.architecture, 2),
      });
      const logits = float32Data(fetches, "logits");
      const rows = (from: number, to: number) =>
        logits.subarray(from * model.architecture.vocabSize, to * model.architecture.vocabSize);
      close(await sequenceLogits(own, [short]), rows(3, 9), model);
      close(reference, rows(9, 18), model);
      assert.ok(rows(0, 3).every(Number.isFinite), "padding is numbers, too");

      await backend[Symbol.asyncDispose]();
      source[Symbol.dispose]();
    });
  }

  test(`quantised experts compute no rows and one row as they do several, on ${name}`, async () => {
    const { backend } = await openBackend(name, { threads: 1 });
    const model = await open("mixtral");
    const ids = [3, 1, 4, 1, 5, 9];
    const whole = await onnxLogits(
      (await exported(model, backend)).decoder,
      model.architecture,
      ids,
    );
    for (const precision of ["q8", "q4"] as const) {
      const { decoder } = await exported(model, backend, precision);
      const logits = await onnxLogits(decoder, model.architecture, ids);
      const { meanKl } = compareLogits(whole, logits, model.architecture.vocabSize);
      assert.ok(meanKl < (precision === "q8" ? 0.02 : 1), `${precision}: ${meanKl} nats`);
    }
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  });

  test(`fp16 rounds weights only, q8 and q4 keep most of the distribution, on ${name}`, async () => {
    const { backend } = await openBackend(name, { threads: 1 });
    for (const family of ["llama-mha", "llama-rope-llama3", "qwen2-untied-bf16", "qwen3"]) {
      const model = await open(family);
      const ids = Array.from({ length: 9 }, (_, i) => (5 * i + 3) % model.architecture.vocabSize);
      const rounds = model.weights.some(({ tensor }) => tensor.dtype === "F32");
      const fp32 = await exported(model, backend);
      const reference = await onnxLogits(fp32.decoder, model.architecture, ids);
      const bytes = (files: Readonly<Record<string, Uint8Array>>, precision: ExportPrecision) =>
        files[`${onnxFile(precision)}_data`].length;
      let before = bytes(fp32.files, "fp32");
      for (
        const [precision, maxAbs, meanKl] of [
          ["fp16", 5e-3, 1e-5],
          ["q8", Infinity, 5e-3],
          ["q4", Infinity, 0.3],
        ] as const
      ) {
        const { files, decoder } = await exported(model, backend, precision);
        const difference = compareLogits(
          reference,
          await onnxLogits(decoder, model.architecture, ids),
          model.architecture.vocabSize,
        );
        const found = `${family} ${precision}: ${JSON.stringify(difference)}`;
        assert.ok(difference.maxAbs <= maxAbs, found);
        if (rounds || precision !== "fp16") assert.ok(difference.maxAbs > 0, found);
        assert.ok(difference.meanKl <= meanKl, found);
        assert.ok(bytes(files, precision) < before, `${found}, ${bytes(files, precision)} bytes`);
        before = bytes(files, precision);
      }
      model[Symbol.dispose]();
    }
    await backend[Symbol.asyncDispose]();
  });
}

test("the layout is that of transformers.js, caches numbered densely with their own head counts", async () => {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const source = await open("llama-missing-blocks");
  const model = await prunedInMemory(source, {
    ...heterogeneousPlan(source.architecture),
    layers: [
      { attention: "removed", mlp: "removed" },
      { attention: "removed", mlp: { channels: [1, 5] } },
      { attention: { kvGroups: [1] }, mlp: "removed" },
      { attention: "removed", mlp: "removed" },
    ],
  });
  const { files } = await exported(model, backend);
  assert.deepEqual(Object.keys(files), [
    "onnx/model.onnx_data",
    "onnx/model.onnx",
    "generation_config.json",
    "config.json",
  ]);
  const config = json(files["config.json"]);
  assert.equal(config.model_type, "llama");
  assert.equal(config.lopper, undefined);
  assert.equal(config.num_hidden_layers, 1);
  assert.equal(config.num_key_value_heads, 1);
  assert.deepEqual(config["transformers.js_config"], {
    use_external_data_format: { "model.onnx": 1 },
  });
  assert.deepEqual(json(files["generation_config.json"]), {
    _from_model_config: true,
    bos_token_id: 1,
    eos_token_id: 2,
  });
  const { graph } = fromBinary(ModelProtoSchema, files["onnx/model.onnx"]);
  const shapes = (values: NonNullable<typeof graph>["input"]) =>
    values.map(({ name, type }) => {
      const tensor = type!.value.case === "tensorType" ? type!.value.value : undefined;
      const dims = tensor!.shape!.dim.map(({ value }) =>
        value.case === "dimValue" ? Number(value.value) : value.value
      );
      return `${name} ${dims.join(",")}`;
    });
  assert.deepEqual(shapes(graph!.input), [
    "input_ids batch_size,sequence_length",
    "attention_mask batch_size,total_sequence_length",
    "position_ids batch_size,sequence_length",
    "past_key_values.0.key batch_size,1,past_sequence_length,8",
    "past_key_values.0.value batch_size,1,past_sequence_length,8",
  ]);
  assert.deepEqual(shapes(graph!.output), [
    "present.0.key batch_size,1,total_sequence_length,8",
    "present.0.value batch_size,1,total_sequence_length,8",
    "logits batch_size,sequence_length,80",
  ]);
  await backend[Symbol.asyncDispose]();
  source[Symbol.dispose]();
});

test("weights go to as many files as they need, and every byte to its place", async () => {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const model = await open("llama-mha");
  const one = await exported(model, backend);
  const many = await exported(model, backend, "fp32", 5000);
  const config = json(many.files["config.json"]);
  const count = config["transformers.js_config"].use_external_data_format["model.onnx"];
  const names = Object.keys(many.files).filter((name) => name.includes("_data"));
  assert.ok(count > 3, `${count} files`);
  assert.deepEqual(
    names,
    Array.from({ length: count }, (_, i) => `onnx/model.onnx_data${i === 0 ? "" : `_${i}`}`),
  );
  const largest = Math.max(
    ...model.weights.map(({ tensor }) => tensor.shape.reduce((a, b) => a * b, 4)),
  );
  for (const name of names) assert.ok(many.files[name].length <= Math.max(5000, largest), name);
  const ids = [1, 2, 3, 4];
  close(
    await onnxLogits(one.decoder, model.architecture, ids),
    await onnxLogits(many.decoder, model.architecture, ids),
    model,
    0,
  );
  await backend[Symbol.asyncDispose]();
  model[Symbol.dispose]();
});

test("a model that has no attention left is refused", async () => {
  const source = await open("llama-mha");
  const plan = heterogeneousPlan(source.architecture);
  const model = await prunedInMemory(source, {
    ...plan,
    layers: plan.layers.map(({ mlp }) => ({ attention: "removed", mlp })),
  });
  await assert.rejects(
    exportOnnx(model, new MemoryOutput().open),
    (error) => error instanceof ExportError && /no layer keeps attention/.test(error.message),
  );
  source[Symbol.dispose]();
});
