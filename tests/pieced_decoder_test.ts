import { type Backend, openBackend } from "@lopper/backends";
import { CheckpointFormatError, ExportError } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import {
  checkDifference,
  compareLogits,
  exportOnnx,
  type ExportPrecision,
  LOGIT_TOLERANCE,
  onnxFile,
  onnxLogits,
  PiecedDecoder,
} from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { ModelProtoSchema } from "onnx-buf";
import { fileURLToPath } from "node:url";
import { heterogeneousPlan, MemoryOutput, prunedInMemory } from "./support/heterogeneous.ts";

type Files = Readonly<Record<string, Uint8Array>>;
type Graph = NonNullable<ReturnType<typeof fromBinary<typeof ModelProtoSchema>>["graph"]>;

function test(name: string, fn: (backend: Backend, model: Model) => Promise<void>) {
  Deno.test({
    name: `decoder in pieces: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
      await fn(backend, model);
      model[Symbol.dispose]();
      await backend[Symbol.asyncDispose]();
    },
  });
}

/** The files of an export's folder `onnx`, by their names. */
async function exported(model: Model, precision: ExportPrecision): Promise<Files> {
  const output = new MemoryOutput();
  await exportOnnx(model, output.open, { precision });
  const files = Object.entries(output.files).filter(([path]) => path.startsWith("onnx/"));
  return Object.fromEntries(files.map(([path, bytes]) => [path.slice("onnx/".length), bytes]));
}

const fileOf = (precision: ExportPrecision) => onnxFile(precision).slice("onnx/".length);
const tokens = ({ architecture }: Model) =>
  Array.from({ length: 31 }, (_, i) => (5 * i + 3) % architecture.vocabSize);

async function piecedLogits(
  backend: Backend,
  model: Model,
  files: Files,
  pieceBytes: number,
  precision: ExportPrecision = "fp32",
) {
  const folder = new MemoryFolder("exported", files);
  const decoder = await PiecedDecoder.open(backend, folder, fileOf(precision), pieceBytes);
  const logits = await onnxLogits(decoder, model.architecture, tokens(model));
  await decoder.dispose();
  return { logits, pieces: decoder.pieces.length };
}

async function wholeLogits(
  backend: Backend,
  model: Model,
  files: Files,
  precision: ExportPrecision = "fp32",
) {
  const { [fileOf(precision)]: graph, ...weights } = files;
  const decoder = await backend.compile(graph, weights);
  const logits = await onnxLogits(decoder, model.architecture, tokens(model));
  await decoder.dispose();
  return logits;
}

test("each export has the very logits that it has as a whole", async (backend, dense) => {
  const pruned = await prunedInMemory(dense, heterogeneousPlan(dense.architecture));
  for (const model of [dense, pruned]) {
    const blocks = model.architecture.blocks.length;
    for (const precision of ["fp32", "fp16", "q8", "q4"] as const) {
      const files = await exported(model, precision);
      const whole = await wholeLogits(backend, model, files, precision);
      for (const [bytes, pieces] of [[0, blocks + 3], [2e6, undefined], [1e9, 1]] as const) {
        const pieced = await piecedLogits(backend, model, files, bytes, precision);
        const { maxAbs } = compareLogits(whole, pieced.logits, model.architecture.vocabSize);
        assert.equal(maxAbs, 0, `${precision} in ${pieced.pieces} pieces: off by ${maxAbs}`);
        // embedding, blocks, final norm, LM head
        if (pieces) assert.equal(pieced.pieces, pieces);
        else assert.ok(pieced.pieces > 1 && pieced.pieces < blocks);
      }
    }
  }
});

/** The files with a graph that was changed. */
function altered(files: Files, change: (graph: Graph) => void): Files {
  const model = fromBinary(ModelProtoSchema, files["model.onnx"]);
  change(model.graph!);
  return { ...files, "model.onnx": toBinary(ModelProtoSchema, model) };
}

test(
  "a graph that computes something else is found, as it is in a whole",
  async (backend, model) => {
    const files = await exported(model, "fp32");
    const right = await wholeLogits(backend, model, files);
    const weight = (graph: Graph, name: string) => {
      const found = graph.initializer.find((tensor) => tensor.name === name);
      return found ?? assert.fail(`no ${name}`);
    };
    const swapped = altered(files, (graph) => {
      const [k, v] = ["k_proj", "v_proj"].map((name) =>
        weight(graph, `model.layers.3.self_attn.${name}.weight`)
      );
      [k.externalData, v.externalData] = [v.externalData, k.externalData];
    });
    // Without a past nobody sees it.
    const pastSwapped = altered(files, (graph) => {
      const [key, value] = ["key", "value"].map((part) => `past_key_values.2.${part}`);
      for (const { input } of graph.node) {
        for (const [i, name] of input.entries()) {
          if (name === key) input[i] = value;
          if (name === value) input[i] = key;
        }
      }
    });
    for (const wrong of [swapped, pastSwapped]) {
      const { logits } = await piecedLogits(backend, model, wrong, 0);
      const whole = await wholeLogits(backend, model, wrong);
      assert.equal(compareLogits(whole, logits, model.architecture.vocabSize).maxAbs, 0);
      const difference = compareLogits(right, logits, model.architecture.vocabSize);
      assert.throws(
        () => checkDifference(difference, LOGIT_TOLERANCE.fp32),
        (error) => error instanceof ExportError && /does not compute what/.test(error.message),
      );
    }
  },
);

test(
  "weights that are not where the graph says are an error that names the file",
  async (backend, model) => {
    const files = await exported(model, "fp32");
    const data = files["model.onnx_data"];
    for (
      const [wrong, message] of [
        [
          { ...files, "model.onnx_data": data.subarray(0, data.length - 64) },
          /onnx_data.*the file has/,
        ],
        [{ "model.onnx": files["model.onnx"] }, /there is no file model\.onnx_data/],
      ] as const
    ) {
      await assert.rejects(
        piecedLogits(backend, model, wrong, 0),
        (error) => error instanceof CheckpointFormatError && message.test(error.message),
      );
    }
  },
);
