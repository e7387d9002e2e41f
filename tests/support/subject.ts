import { type Architecture, blockId, densePlan, type PrunePlan, sizeOf } from "@lopper/core";
import { DEMO_MODEL, HELD_OUT_TEXT } from "@lopper/demo-model";
import { FileFolder, FileSink, FileSource } from "@lopper/files";
import {
  type Model,
  openGgufModel,
  openModel,
  parsePlanFile,
  writePrunedModel,
} from "@lopper/models";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { done } from "./cli.ts";
import { smolLm2Plan } from "./heterogeneous.ts";
import { type Subject } from "./interop_results.ts";
import { smolLm2Gguf } from "./wheel.ts";

/**
 * A plan for the embedded model, written by hand: every way in which a layer can differ, layer 0
 * without attention.
 */
const PLAN = fileURLToPath(new URL("../fixtures/heterogeneous_plan.json", import.meta.url));
/** How much of a text that neither model has seen is put to the readers. */
const POSITIONS = 128;

export interface OpenSubject {
  /** The source of exports, open. */
  readonly model: Model;
  /** By which the command line knows it. */
  readonly path: string;
}

export interface ExportedSubject extends OpenSubject {
  /** The export's folder. */
  readonly out: string;
  /** The beginning of the held-out text, 128 tokens. */
  readonly ids: readonly number[];
}

/**
 * One of the models that every reader is asked about, as `prune` writes it, into a folder within
 * `folder`: of the dense one all is kept. Null as `openSubject`.
 */
export async function writtenSubject(
  folder: string,
  subject: Subject,
): Promise<ExportedSubject | null> {
  const opened = await openSubject(folder, subject, true);
  if (opened === null) return null;
  return { ...opened, out: opened.path, ids: await heldOutIds(opened.model, POSITIONS) };
}

/**
 * Opens one of the models that every reader is asked about; pruned by its plan into a folder within
 * `folder`. SmolLM2 is the GGUF file of the wheel: null, with a line that says so, where that is
 * missing.
 */
export async function openSubject(
  folder: string,
  { model: name, shape }: Subject,
  asWritten = false,
): Promise<OpenSubject | null> {
  const source = name === "embedded" ? fileURLToPath(DEMO_MODEL) : await smolLm2Gguf("this test");
  if (source === null) return null;
  const dense = name === "embedded"
    ? await openModel(new FileFolder(source))
    : await openGgufModel(await FileSource.open(source));
  if (shape === "dense" && !asWritten) return { model: dense, path: source };
  const plan = shape === "dense"
    ? densePlan(dense.architecture, "")
    : name === "embedded"
    ? await planForEmbedded()
    : smolLm2Plan(dense.architecture);
  const path = `${folder}/${shape}`;
  await Deno.mkdir(path);
  await writePrunedModel(dense, plan, (file) => FileSink.open(`${path}/${file}`));
  dense[Symbol.dispose]();
  return { model: await openModel(new FileFolder(path)), path };
}

async function planForEmbedded(): Promise<PrunePlan> {
  const parsed = parsePlanFile(await Deno.readTextFile(PLAN), PLAN);
  assert.ok(parsed.kind === "plan");
  return parsed.plan;
}

/**
 * Exports a subject by the command line, which verifies what it has written, into a folder within
 * `folder`.
 */
export async function exportedSubject(
  folder: string,
  subject: Subject,
  flags: readonly string[],
): Promise<ExportedSubject | null> {
  const opened = await openSubject(folder, subject);
  if (opened === null) return null;
  await done(["export", opened.path, "--out", "out", ...flags], folder);
  return { ...opened, out: `${folder}/out`, ids: await heldOutIds(opened.model, POSITIONS) };
}

/** The first tokens of a text that neither model has seen. */
export async function heldOutIds(model: Model, count: number): Promise<readonly number[]> {
  const text = await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT));
  using tokenizer = await openTokenizer(model.folder);
  return (await tokenizer.encode(text)).slice(0, count);
}

/**
 * Key/value heads and MLP width of every layer, false where a block is gone: what readers say that
 * they see.
 */
export function shapesOf({ layerCount, blocks }: Architecture) {
  const units = new Map(blocks.map((block) => [block.id, Object.values(sizeOf(block))[0]]));
  return Array.from(
    { length: layerCount },
    (_, layer) => ["attention", "mlp"].map((kind) => units.get(blockId(layer, kind)) ?? false),
  );
}
