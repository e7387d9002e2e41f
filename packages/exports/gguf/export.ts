import { formatBytes } from "@lopper/core";
import {
  type GgufTensorEntry,
  isQuantised,
  type OpenSink,
  TENSOR_TYPES,
  tensorBytes,
  type TensorTypeName,
  writeFile,
  writeGguf,
  writeImportanceMatrix,
} from "@lopper/formats";
import { type CalibrationSet, tokenCount } from "@lopper/importance";
import { copyTerms, GgufFolder, type Model, type Weight } from "@lopper/models";
import { GGUF_QUANTIZATIONS, type GgufPrecision, type WrittenExport } from "../export.ts";
import { BlockRounder, type Learnt } from "../rounding/block_rounder.ts";
import { architectureOf } from "./architecture.ts";
import { cutImportance, type ImportanceSource } from "./importance.ts";
import { keptQuantised, type KeptTensor, type QuantisedSource } from "./kept_quantised.ts";
import { ggufLayers, withAttention } from "./layers.ts";
import { modelEntries } from "./metadata.ts";
import { withMultipliersInWeights } from "./multipliers.ts";
import { readerNotes } from "./notes.ts";
import { gridOf, shorterBlocks } from "./tensor_type.ts";
import { ggufTensors } from "./tensors.ts";
import { tokenizerMetadata } from "./tokenizer.ts";

export interface GgufExportOptions {
  /** What the model is called; the file, too, with `.gguf` behind it. */
  readonly title: string;
  /** What matrices are stored as; fp16 unless said, or q8_0 beside quantised ones that stay. */
  readonly precision?: GgufPrecision;
  /** Matrices that still are what they are there are copied, without quantising them again. */
  readonly quantised?: QuantisedSource;
  /** What matrices are rounded by; each value to the nearest without it. */
  readonly learnt?: Learnt;
  /** What is left of it is written beside the file, with `.imatrix` behind the title. */
  readonly importance?: ImportanceSource;
}

const TYPES: Readonly<Record<GgufPrecision, TensorTypeName>> = {
  fp32: "F32",
  fp16: "F16",
  ...GGUF_QUANTIZATIONS,
};

export interface WrittenGguf extends WrittenExport {
  /** The name by which llama.cpp knows how to compute it. */
  readonly architecture: string;
}

/**
 * Writes a model as one GGUF file for llama.cpp, tokenizer included: `llama`, `qwen2` or `qwen3`
 * where all layers have the same shape, else `deci`. One tensor is in memory at a time.
 * @throws {ExportError} when llama.cpp has no architecture for the model or no tokenizer that gives
 *   the same ids, or float16 cannot hold a weight.
 */
export async function exportGguf(
  given: Model,
  open: OpenSink,
  { title, quantised: source, importance, learnt, precision = source ? "q8_0" : "fp16" }:
    GgufExportOptions,
): Promise<WrittenGguf> {
  const type = TYPES[precision];
  const { arch, folds } = architectureOf(given, ggufLayers(given.architecture.blocks));
  const model = folds ? withMultipliersInWeights(given) : given;
  const found = ggufLayers(model.architecture.blocks);
  const layers = arch.sparse ? found : withAttention(found);
  const kept = source ? await keptQuantised(model, arch, source) : new Map<string, KeptTensor>();
  const typeOf = (weight: Weight) => gridOf(weight, model, type);
  await using rounder = learnt ? new BlockRounder({ ...learnt, model, typeOf }) : null;
  const rounded = rounder ? (weight: Weight) => rounder.bytesOf(weight) : undefined;
  const tensors = ggufTensors(model, arch, layers, { type, kept, rounded });
  const cut = importance && cutImportance(model, arch, { layers, tensors }, importance);
  const tokenizer = await tokenizerMetadata(model);
  const entries = [
    ...modelEntries(model, title, arch, { layers, tensors, type }),
    ...(model.folder instanceof GgufFolder ? await model.folder.originEntries() : []),
    ...tokenizer.entries,
  ];
  const file = `${fileName(title)}.gguf`;
  await writeFile(open, file, (sink) => writeGguf(sink, entries, tensors));
  // Whoever reads it looks at its first bytes, not at its name.
  const beside = `${fileName(title)}.imatrix`;
  if (cut) await writeFile(open, beside, (sink) => writeImportanceMatrix(sink, cut.matrix));
  const terms = await copyTerms(model.folder, open);
  const unquantised = isQuantised(type) ? tensors.filter((t) => t.type === "F16") : [];
  const notes = [
    ...tokenizer.notes,
    ...readerNotes(arch, model.architecture),
    ...(folds ? [foldedNote(arch.name, given, model)] : []),
    ...cut?.notes ?? [],
    ...otherTypesNote(type, tensors),
    ...(rounder ? [roundedNote(rounder, learnt!.text)] : []),
    ...(source ? [keptNote(model, kept, tensors)] : []),
  ];
  return {
    files: [file, ...(cut ? [beside] : []), ...terms],
    customCode: false,
    architecture: arch.name,
    ...(notes.length > 0 && { notes }),
    ...(unquantised.length > 0 && { unquantised: unquantised.map(({ name }) => name) }),
  };
}

/**
 * @throws {ExportError} when llama.cpp has no tokenizer that gives the ids of the model's: no part
 *   of it can be exported.
 */
export async function checkGgufTokenizer(model: Model): Promise<void> {
  await tokenizerMetadata(model);
}

function foldedNote(
  arch: string,
  { architecture: before }: Model,
  { architecture }: Model,
): string {
  const two = before.tiedEmbeddings && !architecture.tiedEmbeddings
    ? "; embedding and LM head are two matrices now"
    : "";
  return `what the model multiplies hidden states, scores and logits with is in its weights, since ${arch} knows no such numbers${two}`;
}

/** How many matrices are what others are where their rows are not whole super-blocks. */
function otherTypesNote(
  type: TensorTypeName,
  tensors: readonly GgufTensorEntry[],
): readonly string[] {
  const other = shorterBlocks(type);
  const [own, others] = [type, other].map((name) =>
    tensors.filter(({ type, shape }) => type === name && shape.length > 1).length
  );
  if (other === type || others === 0) return [];
  return [
    `${others} of ${
      own + others
    } matrices are ${other}, since ${type} needs rows of whole blocks of ` +
    `${TENSOR_TYPES[type].values}`,
  ];
}

/** How many matrices were rounded with errors passed on, and by what. */
function roundedNote({ roundedCount, nearestCount }: BlockRounder, text: CalibrationSet): string {
  const others = nearestCount > 0 ? `, ${nearestCount} of experts to the nearest` : "";
  return `${roundedCount} matrices were rounded by GPTQ on ${
    tokenCount(text)
  } tokens of text${others}`;
}

/** What was copied, and what was not. */
function keptNote(
  { weights }: Model,
  kept: ReadonlyMap<string, KeptTensor>,
  tensors: readonly GgufTensorEntry[],
): string {
  const matrices = weights.filter(({ tensor }) => tensor.shape.length > 1);
  const bytes = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  return `${kept.size} of ${matrices.length} matrices are as they were quantised, the others are new and Q8_0 where ` +
    `their rows are whole blocks: ${formatBytes(bytes)} of tensors`;
}

/** A title without what file systems take amiss. */
function fileName(title: string): string {
  const plain = title.replace(/\.gguf$/i, "").replace(/[^\p{L}\p{N}._-]+/gu, "-");
  return plain.replace(/^[.-]+/, "").slice(0, 100) || "model";
}
