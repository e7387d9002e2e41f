/**
 * transformers (PyTorch) opens what `lopper export --to safetensors` writes, dense and pruned, all families: the same
 * logits, the same greedy text with and without its cache and behind padding; and of what `--to gguf` writes that which it
 * has an architecture for.
 *
 * Needs Python with scripts/oracles/requirements.txt: in .venv, or named by LOPPER_PYTHON.
 */
import { countParameters } from "@lopper/core";
import { compareLogits, exportSafetensors, type LogitDifference } from "@lopper/exports";
import { FileFolder, FileSink } from "@lopper/files";
import { layersOfBlocks, type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { heterogeneousPlan, prunedInMemory } from "../support/heterogeneous.ts";
import {
  figures,
  isQuantised,
  record,
  SUBJECTS,
  TRANSFORMERS_KNOWS_NO_DECI,
} from "../support/interop_results.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { exportedSubject } from "../support/subject.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/families", import.meta.url));
const SCRIPT = new URL("read_with_transformers.py", import.meta.url);
const NEW_TOKENS = 8;
const TOLERANCE = 1e-3;

interface Answer {
  readonly versions: { readonly torch: string; readonly transformers: string };
  readonly class: string;
  readonly loading: Readonly<Record<string, readonly string[]>>;
  readonly parameters: number;
  readonly layers: readonly (readonly [number | false, number | false])[];
  readonly logits: string;
  readonly greedy: readonly number[];
  readonly uncached: readonly number[];
  readonly behind_padding: readonly number[];
}

/**
 * What transformers computes from `folder`, or a GGUF file in it, beside what Lopper computes from `model`; asserts that it has
 * opened all of it, and nothing else.
 */
async function compared(
  model: Model,
  folder: string,
  ids: readonly number[],
  ggufFile: readonly string[] = [],
) {
  const { architecture } = model;
  // Lopper does not compute what lies beyond a sliding window.
  const newTokens = Math.min(NEW_TOKENS, (architecture.slidingWindow ?? Infinity) - ids.length);
  const request = { ids, new_tokens: newTokens, pad: 3 };
  const answer = await runPython(python!, SCRIPT, [folder, ...ggufFile], request) as Answer;
  assert.deepEqual(Object.values(answer.loading).flat(), [], "nothing missing, nothing left over");
  assert.equal(answer.parameters, countParameters(architecture).total);
  assert.deepEqual(
    answer.layers,
    layersOfBlocks(architecture).map(({ attention, mlp }) => [
      attention ? attention.queryHeads * architecture.headDim : false,
      mlp ? mlp.intermediateSize : false,
    ]),
  );
  const own = await byLopper(model, ids, [ids], newTokens);
  const difference = compareLogits(own.logits, float32Of(answer.logits), architecture.vocabSize);
  return { answer, difference, greedy: own.greedy[0] };
}

/** The same logits, but for rounding, and the same text. */
function agrees(answer: Answer, { maxAbs }: LogitDifference, greedy: readonly number[]) {
  assert.ok(maxAbs <= TOLERANCE, `logits off by ${maxAbs}`);
  assert.deepEqual(answer.greedy, greedy);
  assert.deepEqual(answer.uncached, greedy);
  assert.deepEqual(answer.behind_padding, greedy);
}

const saw = (answer: Answer) =>
  `${answer.class}, ${answer.layers.length} layers, ${answer.parameters} parameters`;

const python = await pythonWith("transformers", "reading exports with transformers");

function test(name: string, fn: () => Promise<void>) {
  if (!python) return;
  Deno.test({ name: `transformers: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

const FAMILIES = ["llama-mha", "llama-odd-head", "mistral-sliding", "qwen2", "qwen3", "olmo2"];
for (const family of FAMILIES) {
  for (const shape of ["dense", "heterogeneous"] as const) {
    test(`${family}, ${shape}`, () =>
      inTemporaryFolder(async (folder) => {
        const source = await openModel(new FileFolder(`${FIXTURES}/${family}`));
        const model = shape === "dense"
          ? source
          : await prunedInMemory(source, heterogeneousPlan(source.architecture));
        const written = await exportSafetensors(
          model,
          (file) => FileSink.open(`${folder}/${file}`),
        );
        assert.equal(written.customCode, shape === "heterogeneous");
        const length = model.architecture.slidingWindow === null ? 12 : 4;
        const ids = Array.from({ length }, (_, i) => (7 * i + 5) % model.architecture.vocabSize);
        const { answer, difference, greedy } = await compared(model, folder, ids);
        agrees(answer, difference, greedy);
        assert.equal(answer.class.startsWith("Lopper"), shape === "heterogeneous", answer.class);
        source[Symbol.dispose]();
      }));
  }
}

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  for (const weights of ["fp32", "fp16"]) {
    test(`${name}, ${shape}, safetensors, ${weights}`, () =>
      inTemporaryFolder(async (folder) => {
        const flags = ["--to", "safetensors", "--dtype", weights];
        const exported = await exportedSubject(folder, subject, flags);
        if (exported === null) return;
        const { model, out, ids } = exported;
        const { size } = await Deno.stat(`${out}/model.safetensors`);
        const bytes = countParameters(model.architecture).total * (weights === "fp32" ? 4 : 2);
        assert.ok(size > bytes && size < bytes + 50_000, `${size} bytes`);
        const { answer, difference, greedy } = await compared(model, out, ids);
        agrees(answer, difference, greedy);
        assert.equal(answer.class.startsWith("Lopper"), shape === "pruned", answer.class);
        await record({
          ...{ format: "safetensors", weights, reader: "transformers", ...subject },
          ...{ version: answer.versions.transformers, saw: saw(answer) },
          ...figures(difference),
          greedy: greedy.length,
        });
        model[Symbol.dispose]();
      }));
  }
}

const GGUF_WEIGHTS = [
  ["fp32", ["--dtype", "fp32"]],
  ["fp16", ["--dtype", "fp16"]],
  ["q8_0", ["--quantize", "q8_0"]],
  ["q4_0", ["--quantize", "q4_0"]],
] as const;

for (const subject of SUBJECTS) {
  const { model: name, shape } = subject;
  for (const [weights, flags] of GGUF_WEIGHTS) {
    test(`${name}, ${shape}, GGUF, ${weights}`, () =>
      inTemporaryFolder(async (folder) => {
        const exported = await exportedSubject(folder, subject, ["--to", "gguf", ...flags]);
        if (exported === null) return;
        const { model, out, ids } = exported;
        const [file] = JSON.parse(await Deno.readTextFile(`${out}/export.json`)).files;
        const cell = { format: "GGUF", weights, reader: "transformers", ...subject };
        if (shape === "pruned") {
          const request = { ids, new_tokens: 1, pad: 0 };
          await assert.rejects(
            () => runPython(python!, SCRIPT, [out, file], request),
            /model type `deci` but Transformers does not recognize/,
          );
          await record({
            ...cell,
            version: await transformersVersion(),
            reason: TRANSFORMERS_KNOWS_NO_DECI,
          });
        } else {
          const { answer, difference, greedy } = await compared(model, out, ids, [file]);
          if (!isQuantised(weights)) agrees(answer, difference, greedy);
          else assert.ok(difference.meanKl > 0, "quantised weights are not those of the source");
          await record({
            ...{ ...cell, version: answer.versions.transformers, saw: saw(answer) },
            ...figures(difference),
            ...(!isQuantised(weights) && { greedy: greedy.length }),
          });
        }
        model[Symbol.dispose]();
      }));
  }
}

async function transformersVersion(): Promise<string> {
  const args = ["-c", "import transformers; print(transformers.__version__)"];
  const { stdout } = await new Deno.Command(python!, { args }).output();
  return new TextDecoder().decode(stdout).trim();
}
