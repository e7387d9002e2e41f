import { type Backend, openBackend } from "@lopper/backends";
import { openReferenceBackend } from "@lopper/backends/reference";
import { denseShape, hasExperts } from "@lopper/core";
import {
  compareLogits,
  exportOnnx,
  type ExportPrecision,
  onnxFile,
  onnxLogits,
  PiecedDecoder,
} from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { nextTokens } from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import {
  Decoder,
  forwardFrom,
  LaidOutWeights,
  ResidentDecoder,
  sequenceLogits,
} from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference, withReusedGraphs } from "@lopper/backends/testing";
import { MemoryOutput } from "./support/heterogeneous.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/families", import.meta.url));
const FAMILIES = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
/** What float32 sums of some hundred terms are off by, against float64. */
const TOLERANCE = 1e-4;
/**
 * Nats that rounding activations to 8 bits costs at most; four bits read wrongly cost a hundred
 * times as much.
 */
const ROUNDED_KL = 1e-3;

const cpu = withReusedGraphs((await openBackend("cpu", { threads: 1 })).backend);
Deno.test.afterAll(async () => await cpu[Symbol.asyncDispose]());

type Opened = Readonly<{ reference: Backend; cpu: Backend; model: Model }>;

function test(what: string, family: string, body: (opened: Opened) => Promise<void>) {
  Deno.test({
    name: `second opinion: ${what} of ${family}`,
    // The engine keeps its threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
      try {
        await body({ reference: await openReferenceBackend(), cpu, model });
      } finally {
        model[Symbol.dispose]();
      }
    },
  });
}

const tokens = ({ architecture }: Model, count: number) =>
  Array.from({ length: count }, (_, i) => (31 * i * i + 3 * i) % architecture.vocabSize);

for (const family of FAMILIES) {
  test("logits", family, async ({ reference, cpu, model }) => {
    const ids = [tokens(model, 7)];
    const [exact, engine] = await Promise.all([reference, cpu].map(async (backend) => {
      const weights = await LaidOutWeights.load(model);
      const decoder = new Decoder(backend, weights);
      const logits = await sequenceLogits(decoder, ids);
      await decoder.dispose();
      return logits;
    }));
    assert.equal(exact.length, 7 * model.architecture.vocabSize);
    const difference = maxAbsDifference(exact, engine);
    assert.ok(difference <= TOLERANCE, `off by ${difference}`);
  });

  test("losses by the graph that owns its weights", family, async ({ reference, cpu, model }) => {
    const ids = [tokens(model, 7), tokens(model, 7).reverse()];
    const weights = await LaidOutWeights.load(model);
    const fed = new Decoder(cpu, weights);
    const shape = denseShape(fed.blocks);
    if (hasExperts(model.architecture)) {
      await using resident = new ResidentDecoder(reference, weights);
      await assert.rejects(resident.nll(shape, ids), /is computed beside graphs/);
      await fed.dispose();
      return;
    }
    const hidden = await forwardFrom(fed, shape, 0, await fed.embed(ids));
    const expected = await fed.nll(hidden, nextTokens(ids));
    for (const attentionOp of ["plain", "attention"] as const) {
      const description = { ...reference.description, attentionOp, residentWeights: true };
      const resident = new ResidentDecoder({ ...reference, description }, weights);
      const difference = maxAbsDifference(await resident.nll(shape, ids), expected);
      assert.ok(difference <= TOLERANCE, `${attentionOp}: off by ${difference}`);
      await resident.dispose();
    }
    await fed.dispose();
  });
}

/**
 * Matrices of these widths are odd numbers of blocks, with a block of the model gone, and biases.
 */
for (const family of ["qwen2-heterogeneous", "llama-missing-blocks", "qwen3-tied-mqa", "olmo2"]) {
  for (const precision of ["fp32", "fp16", "q8", "q4"] satisfies ExportPrecision[]) {
    test(`${precision} export for onnxruntime`, family, async ({ reference, cpu, model }) => {
      const output = new MemoryOutput();
      await exportOnnx(model, output.open, { precision });
      const files = Object.entries(output.files).filter(([path]) => path.startsWith("onnx/"));
      const folder = new MemoryFolder(
        "exported",
        Object.fromEntries(files.map(([path, bytes]) => [path.slice("onnx/".length), bytes])),
      );
      const file = onnxFile(precision).slice("onnx/".length);
      const [exact, engine] = await Promise.all([reference, cpu].map(async (backend) => {
        const decoder = await PiecedDecoder.open(backend, folder, file, 1e6);
        const logits = await onnxLogits(decoder, model.architecture, tokens(model, 9));
        await decoder.dispose();
        return logits;
      }));
      const { maxAbs, meanKl } = compareLogits(exact, engine, model.architecture.vocabSize);
      // Beside matrices of 8 and 4 bits the engine rounds activations to 8 bits, and the reference
      // does not.
      if (precision.startsWith("q")) assert.ok(meanKl <= ROUNDED_KL, `KL ${meanKl}`);
      else assert.ok(maxAbs <= TOLERANCE, `off by ${maxAbs}`);
    });
  }
}
