/**
 * transformers.js and onnxruntime-node, as they come from npm, run what `lopper export --to onnx` writes for the embedded
 * model, dense and pruned to layers of their own: logits, greedy text, and a batch with padding on the left.
 */
import { openBackend } from "@lopper/backends";
import { countParameters } from "@lopper/core";
import { compareLogits } from "@lopper/exports";
import { openTokenizer } from "@lopper/model-io";
import { Decoder, LaidOutWeights, sequenceLogits, sourceOrder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import { inTemporaryFolder } from "../support/cli.ts";
import { exportedDemo } from "../support/exported_demo.ts";
import { greedyTokens } from "../support/greedy.ts";

const READER = fileURLToPath(new URL("read_with_transformers_js.ts", import.meta.url));
const TEXT = "The old man looked at the sea";
const SHORT = "The old man";
const NEW_TOKENS = 12;

interface Answer {
  readonly version: string;
  readonly inputs: readonly (readonly (string | number)[])[];
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  readonly greedy: readonly number[];
  readonly batch: readonly (readonly number[])[];
  readonly text: string;
}

/** Precision, suffix of its files, largest difference of two logits, and KL divergence that is allowed. */
const VARIANTS = [
  [["--dtype", "fp32"], "fp32", "", 1e-3, 1e-9],
  [["--dtype", "fp16"], "fp16", "_fp16", 2e-2, 1e-5],
  [["--quantize", "q8"], "q8", "_quantized", Infinity, 0.01],
  [["--quantize", "q4"], "q4", "_q4", Infinity, 0.05],
] as const;
/** Bytes of a weight in the files, roughly; embedding, scales and norms come on top. */
const BYTES: Readonly<Record<string, number>> = { fp32: 4, fp16: 2, q8: 1, q4: 0.5 };

for (const shape of ["dense", "heterogeneous"] as const) {
  for (const [flags, dtype, suffix, maxAbs, meanKl] of VARIANTS) {
    Deno.test({
      name: `transformers.js and onnxruntime-node: embedded model, ${shape}, ${dtype}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        inTemporaryFolder(async (folder) => {
          const { model, out, ids } = await exportedDemo(folder, shape, "onnx", undefined, flags);
          const { spec } = model;
          const file = `${out}/onnx/model${suffix}.onnx`;
          const { size } = await Deno.stat(`${file}_data`);
          const parameters = countParameters(spec).total;
          assert.ok(size >= parameters * BYTES[dtype], `${size} bytes`);
          assert.ok(size < parameters * BYTES[dtype] + 3e6, `${size} bytes`);

          const { backend } = await openBackend("cpu", {});
          const own = new Decoder(
            backend,
            await LaidOutWeights.load(model, sourceOrder(spec)),
          );
          const reference = await sequenceLogits(own, [ids]);
          const agrees = (logits: Float32Array, what: string) => {
            const difference = compareLogits(reference, logits, spec.vocabSize);
            console.log(`${what}, ${shape}, ${dtype}: ${JSON.stringify(difference)}`);
            assert.ok(difference.maxAbs <= maxAbs && difference.meanKl <= meanKl, what);
          };

          const answer = await transformersJs(out, dtype);
          const past = spec.layers.flatMap(({ attention }) => attention ?? []).flatMap(
            ({ kvHeads }, i) =>
              ["key", "value"].map((part) => [
                `past_key_values.${i}.${part}`,
                "batch_size",
                kvHeads,
                "past_sequence_length",
                spec.headDim,
              ]),
          );
          assert.deepEqual(answer.inputs.slice(3), past, "the reader saw every layer's own cache");
          assert.deepEqual(answer.ids, ids);
          agrees(Float32Array.from(answer.logits), `transformers.js ${answer.version}`);
          agrees(await onnxruntimeLogits(file, ids, answer.inputs), "onnxruntime-node");

          if (dtype === "fp32") {
            const tokenizer = await openTokenizer(model.folder);
            const continued = async (text: string) => {
              const prompt = tokenizer.encode(text);
              return [...prompt, ...await greedyTokens(own, prompt, NEW_TOKENS)];
            };
            const [long, short] = [await continued(TEXT), await continued(SHORT)];
            assert.deepEqual(answer.greedy, long);
            const padding = new Array(long.length - short.length).fill(0);
            assert.deepEqual(answer.batch, [long, [...padding, ...short]]);
            assert.equal(answer.text, tokenizer.decode(long));
          }
          await backend.dispose();
          model.close();
        }),
    });
  }
}

/** A process of its own: the two libraries bring an engine each. */
async function transformersJs(folder: string, dtype: string): Promise<Answer> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-config",
      "--no-lock",
      "-A",
      READER,
      folder,
      dtype,
      "cpu",
      TEXT,
      String(NEW_TOKENS),
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Logits by onnxruntime-node itself, the file opened by its path. */
async function onnxruntimeLogits(
  file: string,
  ids: readonly number[],
  inputs: Answer["inputs"],
): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(file);
  const int64 = (values: readonly number[]) =>
    new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const past = inputs.slice(3).map(([name, , kvHeads, , headDim]) => [
    name,
    new ort.Tensor("float32", new Float32Array(0), [1, Number(kvHeads), 0, Number(headDim)]),
  ]);
  const { logits } = await session.run({
    input_ids: int64(ids),
    attention_mask: int64(ids.map(() => 1)),
    position_ids: int64(ids.map((_, i) => i)),
    ...Object.fromEntries(past),
  });
  const values = (logits.data as Float32Array).slice();
  await session.release();
  return values;
}
