import { ExportError } from "@lopper/core";
import { OnnxData, type OpenSink, writeFile, writeJson } from "@lopper/formats";
import {
  cachedDecoder,
  type DecoderWeight,
  type MatrixForm,
  type StoredWeight,
} from "@lopper/graphs";
import {
  copyCompanions,
  type Model,
  outerWeight,
  rotaryAngles,
  weightsOfBlock,
} from "@lopper/models";
import type { ExportPrecision, WrittenExport } from "./export.ts";
import { generationConfig, onnxConfig } from "./onnx_config.ts";
import { OnnxWeight } from "./onnx_weights.ts";
import { stackedPart } from "./stacked_part.ts";
import { unitRowsStore } from "./unit_rows.ts";

export interface OnnxExportOptions {
  /** float32 unless said. */
  readonly precision?: ExportPrecision;
  /** Bytes of weights in one file; a browser's limit unless said. */
  readonly maxFileBytes?: number;
}

/** What transformers.js appends to the name of the file, and what the matrices are in it. */
const VARIANTS: Readonly<Record<ExportPrecision, { suffix: string; matrices: MatrixForm }>> = {
  fp32: { suffix: "", matrices: "float32" },
  fp16: { suffix: "_fp16", matrices: "float16" },
  q8: { suffix: "_quantized", matrices: "int8" },
  q4: { suffix: "_q4", matrices: "int4" },
};

/** The path of the graph in an export. */
export function onnxFile(precision: ExportPrecision): string {
  return `onnx/model${VARIANTS[precision].suffix}.onnx`;
}

/**
 * Writes a model as an ONNX decoder with a key/value cache in the layout of transformers.js: the
 * graph in `onnx/`, its weights in files beside it, config and tokenizer. One weight is in memory
 * at a time, as it lies in the checkpoint, in float32 and as it is written; config.json is written
 * last.
 * @throws {ExportError} when no layer keeps attention, or float16 cannot hold a weight.
 */
export async function exportOnnx(
  model: Model,
  open: OpenSink,
  { precision = "fp32", maxFileBytes }: OnnxExportOptions = {},
): Promise<WrittenExport> {
  const { architecture } = model;
  if (!architecture.blocks.some(({ attention }) => attention)) {
    throw new ExportError(
      `${model.name}: no layer keeps attention, and transformers.js needs one with a key/value cache; ` +
        `export it with --to safetensors`,
    );
  }
  const path = onnxFile(precision);
  const file = path.slice(path.lastIndexOf("/") + 1);
  const data = new OnnxData(file, maxFileBytes);
  const weights = weightsByPlace(model);
  const stored = new Map<string, StoredWeight>();
  const graph = cachedDecoder(architecture, {
    matrices: VARIANTS[precision].matrices,
    anglesOf: (rope) => rotaryAngles(rope, architecture.headDim),
    store: (weight, part) => {
      const tensor = weights.get(placeOf(weight))!.part(part);
      const known = stored.get(tensor.name) ?? { ...tensor, ...data.add(tensor) };
      stored.set(tensor.name, known);
      return known;
    },
  });
  const files = [...await data.write(open, "onnx")];
  await writeFile(open, path, (sink) => sink.write(graph));
  files.push(path, ...await copyCompanions(model.folder, open));
  if (!files.includes("generation_config.json")) {
    await writeJson(open, "generation_config.json", generationConfig(model));
    files.push("generation_config.json");
  }
  await writeJson(open, "config.json", onnxConfig(model, { [file]: data.fileCount }));
  files.push("config.json");
  return { files, customCode: false };
}

function placeOf({ block, name, unit }: DecoderWeight): string {
  return JSON.stringify([block, name, unit]);
}

function weightsByPlace(model: Model): ReadonlyMap<string, OnnxWeight> {
  const { weights, store, architecture } = model;
  const found = new Map<string, OnnxWeight>();
  for (const { role, tensor } of weights) {
    if ("layer" in role) continue;
    found.set(placeOf({ block: null, name: role.part }), new OnnxWeight(store, tensor));
  }
  for (const block of architecture.blocks) {
    const stacked = new Set(block.weights.flatMap((one) => one.stacked ? [one.name] : []));
    for (const [name, tensor] of weightsOfBlock(model, block)) {
      const place = { block: block.id, name };
      if (!stacked.has(name)) {
        found.set(placeOf(place), new OnnxWeight(store, tensor));
        continue;
      }
      for (let unit = 0; unit < tensor.shape[0]; unit++) {
        const one = stackedPart(store, tensor, unit);
        found.set(placeOf({ ...place, unit }), new OnnxWeight(one.store, one.tensor));
      }
    }
  }
  const outer = (name: string) => placeOf({ block: null, name });
  if (architecture.scaling?.unitHead) {
    // Not a word of the layout says so: the head is stored as it is used, apart from the embedding.
    const head = outerWeight(model, "lmHead");
    const apart = { ...head, name: model.family.tensorNames.lmHead };
    found.set(outer("lmHead"), new OnnxWeight(unitRowsStore(store, head), apart));
  } else if (architecture.tiedEmbeddings) {
    found.set(outer("lmHead"), found.get(outer("embedding"))!);
  }
  return found;
}
