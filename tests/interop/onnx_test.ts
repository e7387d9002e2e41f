/**
 * transformers.js, onnxruntime-node and onnxruntime-web, as they come from npm, run what `lopper
 * export --to onnx` writes, dense and pruned to layers of their own: logits, greedy text, and a
 * batch with padding on the left.
 */
import { type Architecture, countParameters, headsOf } from "@lopper/core";
import { compareLogits } from "@lopper/exports";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { askProcess } from "../support/ask_process.ts";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { figures, record, SUBJECTS } from "../support/interop_results.ts";
import { exportedSubject } from "../support/subject.ts";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const TRANSFORMERS_JS = here("read_with_transformers_js.ts");
const ONNXRUNTIME = here("read_with_onnxruntime.ts");
const CONFIG = here("../../deno.json");
const TEXT = "The old man looked at the sea";
const SHORT = "The old man";
const NEW_TOKENS = 12;

type Input = readonly (string | number)[];

interface Answer {
  readonly version: string;
  readonly inputs: readonly Input[];
  readonly ids: readonly number[];
  readonly logits: string;
  readonly greedy: readonly number[];
  readonly batch: readonly (readonly number[])[];
  readonly padding: number;
  readonly text: string;
}

/**
 * Precision, suffix of its files, largest difference of two logits, and KL divergence that is
 * allowed.
 */
const VARIANTS = [
  [["--dtype", "fp32"], "fp32", "", 1e-3, 1e-9],
  [["--dtype", "fp16"], "fp16", "_fp16", 2e-2, 1e-5],
  [["--quantize", "q8"], "q8", "_quantized", Infinity, 0.01],
  [["--quantize", "q4"], "q4", "_q4", Infinity, 0.05],
] as const;
/**
 * What 4 bits cost SmolLM2, whose weights are used to the full; quantisers_test.ts compares it with
 * onnxruntime's own.
 */
const SMOLLM2_Q4_KL = 0.5;
/** Bytes of a weight in the files, roughly; embedding, scales and norms come on top. */
const BYTES: Readonly<Record<string, number>> = { fp32: 4, fp16: 2, q8: 1, q4: 0.5 };

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  for (const [flags, weights, suffix, maxAbs, meanKl] of VARIANTS) {
    const allowedKl = name === "SmolLM2" && weights === "q4" ? SMOLLM2_Q4_KL : meanKl;
    Deno.test({
      name: `transformers.js and onnxruntime: ${name}, ${shape}, ${weights}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        inTemporaryFolder(async (folder) => {
          const exported = await exportedSubject(folder, subject, ["--to", "onnx", ...flags]);
          if (exported === null) return;
          const { model, out, ids } = exported;
          const { architecture } = model;
          const file = `${out}/onnx/model${suffix}.onnx`;
          const { size } = await Deno.stat(`${file}_data`);
          const least = countParameters(architecture).total * BYTES[weights];
          const rest = name === "embedded" ? 3e6 : 0.7 * countParameters(architecture).total;
          assert.ok(size >= least && size < least + rest, `${size} bytes`);

          using tokenizer = await openTokenizer(model.folder);
          const prompts = [await tokenizer.encode(TEXT), await tokenizer.encode(SHORT)];
          const own = await byLopper(model, ids, weights === "fp32" ? prompts : [], NEW_TOKENS);
          const past = cachesOf(architecture);
          const compare = async (
            reader: string,
            answer: { readonly version: string; readonly logits: string },
            seen: readonly Input[],
            greedy: { readonly greedy?: number } = {},
          ) => {
            assert.deepEqual(seen, past, "the reader saw every layer's own cache");
            const difference = compareLogits(
              own.logits,
              float32Of(answer.logits),
              architecture.vocabSize,
            );
            const found = `${reader}: ${JSON.stringify(difference)}`;
            assert.ok(difference.maxAbs <= maxAbs && difference.meanKl <= allowedKl, found);
            await record({
              ...{ format: "ONNX", weights, reader, ...subject, version: answer.version },
              saw: `${seen.length / 2} caches, ${size} bytes of weights`,
              ...figures(difference),
              ...greedy,
            });
          };

          for (const engine of ["node", "web"]) {
            const answer = await read<{ version: string; past: Input[]; logits: string }>(
              ["--config", CONFIG, "--cached-only", "-A", ONNXRUNTIME, engine, file],
              { ids },
            );
            await compare(`onnxruntime-${engine}`, answer, answer.past);
          }

          const answer = await read<Answer>(
            ["--no-config", "--no-lock", "-A", TRANSFORMERS_JS, out, weights, "cpu"],
            { ids, text: TEXT, short: SHORT, new_tokens: NEW_TOKENS },
          );
          assert.deepEqual(answer.ids, prompts[0]);
          if (weights === "fp32") {
            const [long, short] = prompts.map((prompt, i) => [...prompt, ...own.greedy[i]]);
            assert.deepEqual(answer.greedy, long);
            const padding = new Array(long.length - short.length).fill(answer.padding);
            assert.deepEqual(answer.batch, [long, [...padding, ...short]]);
            assert.equal(answer.text, await tokenizer.decode(long));
          }
          const greedy = weights === "fp32" ? { greedy: NEW_TOKENS } : {};
          await compare("transformers.js", answer, answer.inputs.slice(3), greedy);
          model[Symbol.dispose]();
        }),
    });
  }
}

/**
 * The caches that a decoder has: two for each layer that keeps attention, with heads of its own.
 */
function cachesOf({ blocks, headDim }: Architecture): readonly Input[] {
  const heads = blocks.filter(({ attention }) => attention).map((block) => headsOf(block));
  return heads.flatMap(({ kvHeads }, i) =>
    ["key", "value"].map((part) => [
      `past_key_values.${i}.${part}`,
      "batch_size",
      kvHeads,
      "past_sequence_length",
      headDim,
    ])
  );
}

/** A process of its own for each: two libraries bring an engine each. */
async function read<Answer>(args: readonly string[], request: unknown): Promise<Answer> {
  return await askProcess(Deno.execPath(), ["run", "--quiet", ...args], request) as Answer;
}
