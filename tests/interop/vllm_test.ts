/**
 * vLLM, on the processor, opens what `lopper export --to safetensors --layout deci` writes, dense
 * and pruned: shapes, log-probabilities, greedy text.
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
import { figures, record, SUBJECTS } from "../support/interop_results.ts";
import { normalised } from "../support/normalised.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { exportedSubject, shapesOf } from "../support/subject.ts";

const SCRIPT = new URL("read_with_vllm.py", import.meta.url);
const NEW_TOKENS = 8;
const TOLERANCE = 1e-3;
/** It returns an object for each token of the vocabulary at each place. */
const POSITIONS = 32;

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
for (const subject of SUBJECTS) {
  for (const weights of ["fp32", "fp16"] as const) {
    if (!python) continue;
    const { model: name, shape } = subject;
    Deno.test({
      name: `vLLM: ${name}, ${shape}, ${weights}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        inTemporaryFolder(async (folder) => {
          const flags = ["--to", "safetensors", "--layout", "deci", "--dtype", weights];
          const exported = await exportedSubject(folder, subject, flags);
          if (exported === null) return;
          const { model, out } = exported;
          const ids = exported.ids.slice(0, POSITIONS + 1);
          const request = { ids, new_tokens: NEW_TOKENS };
          const answer = await runPython(python, SCRIPT, [out], request) as Answer;
          const written = await openModel(new FileFolder(out));
          assert.equal(answer.class, "DeciLMForCausalLM");
          assert.deepEqual(answer.layers, shapesOf(written.architecture));
          const own = await byLopper(model, ids, [ids], NEW_TOKENS);
          const { vocabSize } = model.architecture;
          const difference = compareLogits(
            normalised(own.logits.subarray(0, POSITIONS * vocabSize), vocabSize),
            float32Of(answer.logprobs),
            vocabSize,
          );
          const found = `log-probabilities off by ${difference.maxAbs}`;
          assert.ok(difference.maxAbs <= TOLERANCE, found);
          assert.deepEqual(answer.greedy, own.greedy[0]);
          await record({
            ...{ format: "safetensors, DeciLM", weights, reader: "vLLM", ...subject },
            ...{ version: answer.version, saw: `${answer.class}, ${answer.layers.length} layers` },
            ...{ ...figures(difference), greedy: NEW_TOKENS },
          });
          written[Symbol.dispose]();
          model[Symbol.dispose]();
        }),
    });
  }
}
