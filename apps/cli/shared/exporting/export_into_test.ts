import { ExportError } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import type { ExportTask } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { type ByteSink, fromFloat32, type TensorStore } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../../../../tests/support/cli.ts";
import { ExportFolder } from "./export_folder.ts";
import { exportInto } from "./export_into.ts";
import { describeExport } from "./export_output.ts";
import type { Reporter } from "../terminal/reporter.ts";

const SILENT = { say() {} } as unknown as Reporter;
const UP = "model.layers.1.mlp.up_proj.weight";

/** Exports the embedded model into `folder`/x, as `change` has it. */
async function exported(
  folder: string,
  task: Pick<ExportTask, "to" | "options">,
  change: {
    readonly model?: (model: Model) => Model;
    readonly folder?: (folder: ExportFolder) => ExportFolder;
    readonly signal?: AbortSignal;
  } = {},
) {
  const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
  await using place = await ExportFolder.open(`${folder}/x`, {}, () => {});
  try {
    return await exportInto(change.model?.(model) ?? model, { title: "demo", ...task }, {
      folder: change.folder?.(place) ?? place,
      engine: { backend: "cpu", threads: 1 },
      reporter: SILENT,
      signal: change.signal ?? new AbortController().signal,
      checkSource: () => Promise.resolve(),
    });
  } finally {
    model[Symbol.dispose]();
  }
}

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test({
    name: `export: ${name}`,
    fn: () => inTemporaryFolder(body),
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
  });

/** A folder whose sinks are others. */
const withSinks = (folder: ExportFolder, sink: (file: string) => Promise<ByteSink>) =>
  ({
    path: folder.path,
    reopen: () => folder.reopen(),
    sink,
  }) as unknown as ExportFolder;

/** A model with an F32 matrix whose last value is beyond float16. */
function withLargeValue(model: Model): Model {
  const weights = model.weights.map((weight) =>
    weight.tensor.name === UP
      ? { ...weight, tensor: { ...weight.tensor, dtype: "F32" as const } }
      : weight
  );
  const { tensor } = weights.find(({ tensor }) => tensor.name === UP)!;
  const values = new Float32Array(tensor.shape[0] * tensor.shape[1]);
  values[values.length - 1] = 2 ** 17;
  const bytes = fromFloat32("F32", values);
  const { store } = model;
  const changed: TensorStore = {
    tensors: new Map([...store.tensors, [UP, tensor]]),
    readBytes: (name, offset = 0, length) =>
      name === UP
        ? Promise.resolve(bytes.slice(offset, offset + (length ?? bytes.length)))
        : store.readBytes(name, offset, length),
    readFloat32: (name) => name === UP ? Promise.resolve(values) : store.readFloat32(name),
    readHalves: (name) => store.readHalves(name),
    close: () => store.close(),
  };
  const sized = weights.map((weight) =>
    weight.tensor.name === UP
      ? { ...weight, tensor: { ...weight.tensor, byteLength: bytes.length } }
      : weight
  );
  return { ...model, weights: sized, store: changed };
}

test("what is too large for few bits is named in the source, and nothing is written", async (folder) => {
  const cases: readonly Pick<ExportTask, "to" | "options">[] = [
    { to: "gguf", options: { quantize: "q8_0" } },
    { to: "onnx", options: { dtype: "fp16" } },
    { to: "safetensors", options: { dtype: "fp16" } },
  ];
  for (const run of cases) {
    const nowhere = (folder: ExportFolder) =>
      withSinks(folder, () => Promise.reject(new TypeError("nothing is to be written")));
    await assert.rejects(
      exported(folder, run, { model: withLargeValue, folder: nowhere }),
      (error) => {
        assert.ok(error instanceof ExportError, String(error));
        assert.match(
          error.message,
          /demo-model.*model\.safetensors, tensor ".*up_proj\.weight": value \d+ is 131072, and F16/,
        );
        return true;
      },
    );
  }
});

test("what cannot be read back is named by the place where it was to be", async (folder) => {
  const short = (folder: ExportFolder): ExportFolder =>
    withSinks(folder, async (file) => {
      const sink = await folder.sink(file);
      if (file !== "model.safetensors") return sink;
      return {
        write: (bytes) => sink.write(bytes.subarray(0, bytes.length - 1)),
        commit: () => sink.commit(),
        abort: () => sink.abort(),
      };
    });
  await assert.rejects(
    exported(folder, { to: "safetensors", options: {} }, { folder: short }),
    (error) => {
      assert.ok(error instanceof ExportError, String(error));
      assert.ok(error.message.includes(`not kept: ${folder}/x/model.safetensors`), error.message);
      return true;
    },
  );
});

test("what its signal stops leaves nothing, whatever was written until then", async (folder) => {
  const stop = new AbortController();
  const stopping = (place: ExportFolder) =>
    withSinks(place, async (file) => {
      const sink = await place.sink(file);
      return {
        write: async (bytes) => {
          await sink.write(bytes);
          stop.abort(new Error("enough"));
        },
        commit: () => sink.commit(),
        abort: () => sink.abort(),
      };
    });
  const change = { folder: stopping, signal: stop.signal };
  await assert.rejects(exported(folder, { to: "gguf", options: {} }, change), /^Error: enough$/);
  assert.deepEqual([...Deno.readDirSync(folder)], []);
});

test("the record says who read the files", async (folder) => {
  const by = [
    ["safetensors", "lopper", /verified on 128 held-out tokens by Lopper's own reader \(/],
    ["onnx", "onnxruntime", /tokens by onnxruntime, which runs the written graph \(/],
  ] as const;
  for (const [to, reader, words] of by) {
    const record = await exported(folder, { to, options: {} });
    assert.equal(record.verification!.by, reader);
    assert.match(describeExport(record, "x"), words);
  }
});
