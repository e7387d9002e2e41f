/**
 * transformers (PyTorch) opens what `lopper export --to safetensors` writes, dense and pruned, all families: the same
 * logits, the same greedy text with and without its cache and behind padding.
 *
 * Needs Python with scripts/oracles/requirements.txt: in .venv, or named by LOPPER_PYTHON.
 */
import { openBackend } from "@lopper/backends";
import { countParameters } from "@lopper/core";
import { exportSafetensors } from "@lopper/exports";
import { type Model, openModel } from "@lopper/model-io";
import { FileFolder, FileSink } from "@lopper/model-io/files";
import { Decoder, LaidOutWeights, sequenceLogits, sourceOrder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference } from "../../packages/backends/testing/reference.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { greedyTokens } from "../support/greedy.ts";
import { heterogeneousPlan, prunedInMemory } from "../support/heterogeneous.ts";
import { exportedDemo } from "../support/exported_demo.ts";
import { pythonWith, runPython } from "../support/python.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/families", import.meta.url));
const SCRIPT = new URL("read_with_transformers.py", import.meta.url);
const NEW_TOKENS = 8;
const TOLERANCE = 1e-3;

interface Answer {
  readonly versions: unknown;
  readonly class: string;
  readonly loading: Readonly<Record<string, readonly string[]>>;
  readonly parameters: number;
  readonly layers: readonly (readonly [number | false, number | false])[];
  readonly logits: string;
  readonly greedy: readonly number[];
  readonly uncached: readonly number[];
  readonly behind_padding: readonly number[];
}

/** Asserts that transformers computes from `folder` what Lopper computes from `model`; returns its class. */
async function agrees(model: Model, folder: string, ids: readonly number[]): Promise<string> {
  // Lopper does not compute what lies beyond a sliding window.
  const newTokens = Math.min(NEW_TOKENS, (model.spec.slidingWindow ?? Infinity) - ids.length);
  const request = { ids, new_tokens: newTokens, pad: 3 };
  const answer = await runPython(python!, SCRIPT, [folder], request) as Answer;
  const { spec } = model;
  assert.deepEqual(Object.values(answer.loading).flat(), [], "nothing missing, nothing left over");
  assert.equal(answer.parameters, countParameters(spec).total);
  assert.deepEqual(
    answer.layers,
    spec.layers.map(({ attention, mlp }) => [
      attention ? attention.queryHeads * spec.headDim : false,
      mlp ? mlp.intermediateSize : false,
    ]),
  );
  const { backend } = await openBackend("cpu", {});
  try {
    const decoder = new Decoder(
      backend,
      await LaidOutWeights.load(model, sourceOrder(spec)),
    );
    const logits = new Float32Array(
      Uint8Array.from(atob(answer.logits), (c) => c.charCodeAt(0)).buffer,
    );
    const difference = maxAbsDifference(logits, await sequenceLogits(decoder, [ids]));
    assert.ok(difference <= TOLERANCE, `logits off by ${difference}`);
    const own = await greedyTokens(decoder, ids, newTokens);
    assert.deepEqual(answer.greedy, own);
    assert.deepEqual(answer.uncached, own);
    assert.deepEqual(answer.behind_padding, own);
  } finally {
    await backend.dispose();
  }
  return answer.class;
}

const python = await pythonWith("transformers", "reading exports with transformers");

function test(name: string, fn: () => Promise<void>) {
  if (!python) return;
  Deno.test({ name: `transformers: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

const FAMILIES = ["llama-mha", "llama-odd-head", "mistral-sliding", "qwen2", "qwen3"];
for (const family of FAMILIES) {
  for (const shape of ["dense", "heterogeneous"] as const) {
    test(`${family}, ${shape}`, () =>
      inTemporaryFolder(async (folder) => {
        const source = await openModel(new FileFolder(`${FIXTURES}/${family}`));
        const model = shape === "dense"
          ? source
          : await prunedInMemory(source, heterogeneousPlan(source.spec));
        const written = await exportSafetensors(
          model,
          (file) => FileSink.open(`${folder}/${file}`),
        );
        assert.equal(written.customCode, shape === "heterogeneous");
        const length = model.spec.slidingWindow === null ? 12 : 4;
        const ids = Array.from({ length }, (_, i) => (7 * i + 5) % model.spec.vocabSize);
        const name = await agrees(model, folder, ids);
        assert.equal(name.startsWith("Lopper"), shape === "heterogeneous", name);
        source.close();
      }));
  }
}

for (const shape of ["dense", "heterogeneous"] as const) {
  for (const dtype of [undefined, "fp32"]) {
    test(`embedded model, ${shape}, ${dtype ?? "as it is"}`, () =>
      inTemporaryFolder(async (folder) => {
        const { model, out, ids } = await exportedDemo(folder, shape, "safetensors", dtype);
        const { size } = await Deno.stat(`${out}/model.safetensors`);
        const bytes = model.weightBytes * (dtype === "fp32" ? 2 : 1);
        assert.ok(size > bytes && size < bytes + 20_000, `${size} bytes`);
        const name = await agrees(model, out, ids);
        assert.equal(name.startsWith("Lopper"), shape === "heterogeneous", name);
        model.close();
      }));
  }
}
