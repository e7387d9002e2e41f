/**
 * What optimum and the builder of onnxruntime-genai write of the embedded model, as they are
 * installed here, is the embedded model again when Lopper opens it, and onnxruntime computes from
 * their graphs what Lopper computes from its weights.
 */
import { float32Data, int64, openBackend } from "@lopper/backends";
import { DEMO_MODEL } from "@lopper/demo-model";
import { compareLogits, emptyPast } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { streamedLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../support/cli.ts";
import { type PythonPlace, pythonWith } from "../support/python.ts";

const SOURCE = fileURLToPath(DEMO_MODEL);
const TOLERANCE = 1e-3;

interface Exporter {
  readonly module: string;
  /** The two need different versions of transformers. */
  readonly place: PythonPlace;
  /** Runs it; its own folder, its output and a scratch folder are arguments. */
  readonly script: string;
  /** Files of weights beside the graph. */
  readonly weights: readonly string[];
}

const EXPORTERS: Readonly<Record<string, Exporter>> = {
  "exporter of optimum": {
    module: "optimum.exporters.onnx",
    place: {
      variable: "LOPPER_PYTHON_OPTIMUM",
      usual: [".venv-optimum/bin/python"],
      requirements: "requirements-optimum.txt",
    },
    script: `import sys
from optimum.exporters.onnx import main_export
source, out, _ = sys.argv[1:]
main_export(source, output=out, task="text-generation-with-past", library_name="transformers", do_validation=False,
            dtype="fp32")`,
    weights: [],
  },
  "builder of onnxruntime-genai": {
    module: "onnxruntime_genai",
    place: {
      variable: "LOPPER_PYTHON_BUILDER",
      usual: [".venv-builder/bin/python"],
      requirements: "requirements-builder.txt",
    },
    script: `import os, runpy, sys, onnxruntime_genai
source, out, cache = sys.argv[1:]
folder = os.path.join(os.path.dirname(onnxruntime_genai.__file__), "models")
sys.path.insert(0, folder)
sys.argv = ["builder.py", "-i", source, "-o", out, "-p", "fp32", "-e", "cpu", "-c", cache]
runpy.run_path(os.path.join(folder, "builder.py"), run_name="__main__")`,
    weights: ["model.onnx.data"],
  },
};

for (const [name, { module, place, script, weights }] of Object.entries(EXPORTERS)) {
  Deno.test({
    name: `${name}: its export of the embedded model is the embedded model`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      inTemporaryFolder(async (folder) => {
        const python = await pythonWith(module, `the ${name}`, place);
        if (python === null) return;
        const out = join(folder, "out");
        const { code, stderr } = await new Deno.Command(python, {
          args: ["-c", script, SOURCE, out, join(folder, "cache")],
          env: { HF_HUB_OFFLINE: "1" },
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));

        const source = await openModel(new FileFolder(SOURCE));
        const model = await openModel(new FileFolder(out));
        assert.ok(model.weights.every(({ tensor }) => /\.onnx/.test(tensor.file)));
        assert.deepEqual(model.architecture, source.architecture);
        for (const { tensor } of source.weights) {
          assert.ok(
            same(
              await model.store.readFloat32(tensor.name),
              await source.store.readFloat32(tensor.name),
            ),
            `${tensor.name} is another`,
          );
        }

        const { backend } = await openBackend("cpu", {});
        const ids = Array.from(
          { length: 24 },
          (_, i) => (37 * i + 5) % model.architecture.vocabSize,
        );
        const { file } = model.weights[0].tensor;
        const beside = await Promise.all(
          weights.map(async (weight) =>
            [weight, await Deno.readFile(join(dirname(file), weight))] as const
          ),
        );
        const decoder = await backend.compile(
          await Deno.readFile(join(out, "model.onnx")),
          Object.fromEntries(beside),
        );
        const fetches = await decoder.run({
          input_ids: int64(ids, [1, ids.length]),
          attention_mask: int64(
            ids.map(() => 1),
            [1, ids.length],
          ),
          position_ids: int64(ids.map((_, i) => i), [1, ids.length]),
          ...emptyPast(model.architecture),
        });
        const { maxAbs } = compareLogits(
          float32Data(fetches, "logits"),
          await streamedLogits(backend, model, ids),
          model.architecture.vocabSize,
        );
        assert.ok(maxAbs <= TOLERANCE, `logits off by ${maxAbs}`);
        await backend[Symbol.asyncDispose]();
        model[Symbol.dispose]();
        source[Symbol.dispose]();
      }),
  });
}

function same(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
