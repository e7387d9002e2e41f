/**
 * Quantised exports, and half-precision ones for llama.cpp, are no further from their source than
 * what the quantisers of llama.cpp and onnxruntime make of it, in these runtimes, by KL divergence
 * and by the share of equal top tokens.
 *
 * Needs Python with llama_cpp_python, onnx, onnx_ir and onnxruntime: in .venv, or named by LOPPER_PYTHON.
 */
import { exportGguf, exportOnnx, onnxFile } from "@lopper/exports";
import { FileSink } from "@lopper/files";
import type { Model } from "@lopper/models";
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { inTemporaryFolder } from "../support/cli.ts";
import {
  FP16_ALLOWED,
  LLAMA_CPP_FP16,
  OWN_QUANTISER,
  record,
  SUBJECTS,
} from "../support/interop_results.ts";
import { pythonWith, runPython } from "../support/python.ts";
import { heldOutIds, openSubject } from "../support/subject.ts";

const SCRIPT = new URL("quantise_as_runtimes_do.py", import.meta.url);
/** As many that a token more or less at the top is no matter of chance. */
const POSITIONS = { embedded: 768, SmolLM2: 256 };

type QuantisedType = "fp16" | "q8_0" | "q4_0" | "q8" | "q4";

interface Distance {
  readonly max: number;
  readonly kl: number;
  readonly top: number;
  /** Of the file and what it refers to. */
  readonly bytes: number;
}

interface Answer {
  readonly version: string;
  readonly ours: Distance;
  readonly theirs: Distance;
}

/** Exports a model in float32 and quantised; the paths of both files. */
async function exports(model: Model, folder: string, type: QuantisedType) {
  const open = async (file: string) => {
    await Deno.mkdir(dirname(`${folder}/${file}`), { recursive: true });
    return await FileSink.open(`${folder}/${file}`);
  };
  if (type === "q8" || type === "q4") {
    await exportOnnx(model, open, { precision: "fp32" });
    await exportOnnx(model, open, { precision: type });
    return [`${folder}/${onnxFile("fp32")}`, `${folder}/${onnxFile(type)}`];
  }
  await exportGguf(model, open, { title: "source", precision: "fp32" });
  await exportGguf(model, open, { title: "ours", precision: type });
  return [`${folder}/source.gguf`, `${folder}/ours.gguf`];
}

const WAYS = [
  ["GGUF", "llama.cpp", "llama-cpp-python", "fp16"],
  ["GGUF", "llama.cpp", "llama-cpp-python", "q8_0"],
  ["GGUF", "llama.cpp", "llama-cpp-python", "q4_0"],
  ["ONNX", "onnxruntime", "onnxruntime", "q8"],
  ["ONNX", "onnxruntime", "onnxruntime", "q4"],
] as const;

const python = await pythonWith("llama_cpp, onnx, onnx_ir, onnxruntime", "comparing quantisers");
for (const subject of SUBJECTS) {
  for (const [format, runtime, reader, type] of WAYS) {
    if (!python) continue;
    const name = `${subject.model}, ${subject.shape}, ${type}`;
    Deno.test(`no worse than the quantiser of ${runtime}: ${name}`, () =>
      inTemporaryFolder(async (folder) => {
        const opened = await openSubject(folder, subject);
        if (opened === null) return;
        const { model } = opened;
        const ids = await heldOutIds(model, POSITIONS[subject.model]);
        const [source, ours] = await exports(model, `${folder}/exports`, type);
        const request = { runtime, source, ours, type, work: folder, ids };
        const answer = await runPython(python, SCRIPT, [], request) as Answer;
        const figures = JSON.stringify(answer);
        console.log(`${runtime} ${name}: ${figures}`);
        // A quantised model that is its source was not quantised.
        assert.ok(answer.ours.kl > 0 && answer.theirs.kl > 0, figures);
        assert.ok(answer.ours.kl <= answer.theirs.kl, figures);
        assert.ok(answer.ours.top >= answer.theirs.top, figures);
        if (type === "fp16") assert.ok(answer.ours.max <= answer.theirs.max, figures);
        for (
          const [who, { max, kl, top, bytes }] of [
            [reader, answer.ours],
            [OWN_QUANTISER, answer.theirs],
          ] as const
        ) {
          await record({
            ...{ format, weights: type, reader: who, ...subject, version: answer.version },
            saw: `${bytes} bytes`,
            ...{ positions: ids.length, maxAbs: max, meanKl: kl, sameTop: top },
            ...(max > FP16_ALLOWED && type === "fp16" && { note: LLAMA_CPP_FP16 }),
          });
        }
        model[Symbol.dispose]();
      }));
  }
}
