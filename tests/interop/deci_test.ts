/**
 * mlx-lm opens what `lopper export --to safetensors --layout deci` writes, dense and pruned: shapes, logits, greedy text; and
 * transformers its configuration, with the attributes that vLLM asks for. vLLM itself was not run.
 *
 * Needs Python with mlx, mlx-lm and transformers: in .venv, or named by LOPPER_PYTHON.
 */
import { openBackend } from "@lopper/backends";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { Decoder, LaidOutWeights, sequenceLogits, sourceOrder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { maxAbsDifference } from "../../packages/backends/testing/reference.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { exportedDemo } from "../support/exported_demo.ts";
import { greedyTokens } from "../support/greedy.ts";
import { pythonWith, runPython } from "../support/python.ts";

const SCRIPT = new URL("read_with_mlx.py", import.meta.url);
const NEW_TOKENS = 8;
/** mlx multiplies on the processor in another order. */
const TOLERANCE = 1e-3;

interface Answer {
  readonly layers: readonly (readonly [number | false, number | false])[];
  readonly parameters: number;
  readonly logits: string;
  readonly greedy: readonly number[];
  readonly config: readonly (readonly [number | false, number | false])[];
  readonly rope: number;
}

const python = await pythonWith("mlx_lm", "reading DeciLM's layout with mlx-lm");
for (const shape of ["dense", "heterogeneous"] as const) {
  if (!python) continue;
  Deno.test({
    name: `mlx-lm: embedded model in DeciLM's layout, ${shape}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      inTemporaryFolder(async (folder) => {
        const flags = ["--layout", "deci"];
        const { model, out, ids } = await exportedDemo(folder, shape, "safetensors", "fp32", flags);
        const written = await openModel(new FileFolder(out));
        const request = { ids, new_tokens: NEW_TOKENS };
        const answer = await runPython(python, SCRIPT, [out], request) as Answer;
        const shapes = written.spec.layers.map(({ attention, mlp }) => [
          attention ? attention.kvHeads : false,
          mlp ? mlp.intermediateSize : false,
        ]);
        assert.deepEqual(answer.layers, shapes);
        assert.equal(answer.parameters * 4, written.weightBytes);
        assert.deepEqual(answer.config.map(([kv]) => kv), shapes.map(([kv]) => kv));
        assert.equal(answer.rope, model.spec.rope.theta);
        const { backend } = await openBackend("cpu", {});
        const decoder = new Decoder(
          backend,
          await LaidOutWeights.load(model, sourceOrder(model.spec)),
        );
        const logits = new Float32Array(
          Uint8Array.from(atob(answer.logits), (c) => c.charCodeAt(0)).buffer,
        );
        const gap = maxAbsDifference(logits, await sequenceLogits(decoder, [ids]));
        console.log(`${shape}: logits differ by ${gap.toExponential(1)}`);
        assert.ok(gap <= TOLERANCE, `logits off by ${gap}`);
        assert.deepEqual(answer.greedy, await greedyTokens(decoder, ids, NEW_TOKENS));
        await backend.dispose();
        written.close();
        model.close();
      }),
  });
}
