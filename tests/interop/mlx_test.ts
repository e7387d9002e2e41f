/**
 * mlx-lm opens what `lopper prune` and `lopper export --to safetensors` write: the plain layout
 * where all layers are alike, and DeciLM's (`--layout deci`), dense and pruned: shapes, logits,
 * greedy text. transformers opens the configuration of the latter, with the attributes that vLLM
 * asks for.
 *
 * Needs Python with mlx, mlx-lm and transformers: in .venv, or named by LOPPER_PYTHON.
 */
import { countParameters, firstRope } from "@lopper/core";
import { compareLogits } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { byLopper, float32Of } from "../support/by_lopper.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { figures, MLX_RUNS_NO_CODE, record, RESULT, SUBJECTS } from "../support/interop_results.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { exportedSubject, shapesOf, writtenSubject } from "../support/subject.ts";

const SCRIPT = new URL("read_with_mlx.py", import.meta.url);
const NEW_TOKENS = 8;
/** mlx multiplies on the processor in another order. */
const TOLERANCE = 1e-3;

interface Answer {
  readonly version: string;
  readonly layers: readonly (readonly [number | false, number | false])[];
  readonly parameters: number;
  readonly logits: string;
  readonly greedy: readonly number[];
  /** Of DeciLM's layout only. */
  readonly deci: {
    readonly layers: readonly (readonly [number | false, number | false])[];
    readonly rope: number;
  } | null;
}

const python = await pythonWith("mlx_lm", "reading exports with mlx-lm");

const LAYOUTS = [
  [RESULT, "plain", ["fp16"]],
  ["safetensors", "plain", ["fp32", "fp16"]],
  ["safetensors, DeciLM", "deci", ["fp32", "fp16"]],
] as const;
for (const subject of SUBJECTS) {
  for (const [format, layout, dtypes] of LAYOUTS) {
    for (const weights of dtypes) {
      if (!python) continue;
      const { model: name, shape } = subject;
      const cell = { format, weights, reader: "mlx-lm", ...subject };
      Deno.test({
        name: `mlx-lm: ${name}, ${shape}, ${format}, ${weights}`,
        sanitizeOps: false,
        sanitizeResources: false,
        fn: () =>
          inTemporaryFolder(async (folder) => {
            const flags = ["--to", "safetensors", "--dtype", weights];
            if (layout === "deci") flags.push("--layout", layout);
            const exported = format === RESULT
              ? await writtenSubject(folder, subject)
              : await exportedSubject(folder, subject, flags);
            if (exported === null) return;
            const { model, out, ids } = exported;
            const request = { ids, new_tokens: NEW_TOKENS };
            if (shape === "pruned" && layout === "plain") {
              await assert.rejects(
                () => runPython(python, SCRIPT, [out], request),
                /Model type lopper_llama not supported/,
              );
              const { stdout } = await new Deno.Command(python, {
                args: ["-c", "import mlx_lm; print(mlx_lm.__version__)"],
              }).output();
              await record({
                ...{ ...cell, version: new TextDecoder().decode(stdout).trim() },
                reason: MLX_RUNS_NO_CODE,
              });
              model[Symbol.dispose]();
              return;
            }
            const written = await openModel(new FileFolder(out));
            const answer = await runPython(python, SCRIPT, [out], request) as Answer;
            const shapes = shapesOf(written.architecture);
            assert.deepEqual(answer.layers, shapes);
            assert.equal(answer.parameters, countParameters(written.architecture).total);
            // what prune writes keeps dtypes: norms of a GGUF file are float32
            if (format !== RESULT) {
              assert.equal(answer.parameters * (weights === "fp32" ? 4 : 2), written.weightBytes);
            }
            assert.equal(answer.deci !== null, layout === "deci");
            if (answer.deci !== null) {
              assert.deepEqual(answer.deci.layers.map(([kv]) => kv), shapes.map(([kv]) => kv));
              assert.equal(answer.deci.rope, firstRope(model.architecture)!.theta);
            }
            const own = await byLopper(model, ids, [ids], NEW_TOKENS);
            const { vocabSize } = model.architecture;
            const difference = compareLogits(own.logits, float32Of(answer.logits), vocabSize);
            assert.ok(difference.maxAbs <= TOLERANCE, `logits off by ${difference.maxAbs}`);
            assert.deepEqual(answer.greedy, own.greedy[0]);
            await record({
              ...{ ...cell, version: answer.version },
              saw: `${shapes.length} layers, ${answer.parameters} parameters`,
              ...{ ...figures(difference), greedy: NEW_TOKENS },
            });
            written[Symbol.dispose]();
            model[Symbol.dispose]();
          }),
      });
    }
  }
}
