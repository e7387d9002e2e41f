import { fileURLToPath } from "node:url";
import { INPUTS } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder, isFolder, isThere, openInput, type SourceWatch } from "@lopper/files";
import { fateOf, type Model, openGgufModel, openModel, openOnnxModel } from "@lopper/models";
import { basename, dirname, join } from "node:path";
import type { LocatedModel } from "./locate_models.ts";

/** Hears what of a model's files is passed over, one sentence at a time. */
export type TellNote = (note: string) => void;
/** For a model whose notes were told before, or stand in what the command prints. */
export const TOLD: TellNote = () => {};

/** What a model is opened by. */
export type Located = Pick<LocatedModel, "path" | "title">;

/**
 * Opens a model that was located: a folder, a GGUF or an ONNX file, or the embedded model.
 * @param tell hears what is passed over.
 * @param watch remembers the files that are opened.
 */
export async function openLocated(
  { path, title }: Located,
  tell: TellNote,
  watch?: SourceWatch,
): Promise<Model> {
  const model = path === null
    ? await openModel(new FileFolder(fileURLToPath(DEMO_MODEL), watch))
    : await open(path, watch);
  if (watch) await seeCompanions(model, watch);
  for (const note of model.notes) tell(`${title}: ${note}`);
  return model;
}

/** What is copied in the end counts from the beginning, too. */
async function seeCompanions({ folder }: Model, watch: SourceWatch): Promise<void> {
  for (const file of await folder.list()) {
    if (["carried", "terms"].includes(String(fateOf(file)))) {
      await watch.see(join(folder.name, file));
    }
  }
}

async function open(path: string, watch?: SourceWatch): Promise<Model> {
  // A folder may be called so, too.
  const kind = await isFolder(path) ? undefined : /\.(gguf|onnx)$/i.exec(path)?.[1].toLowerCase();
  if (kind === "gguf") {
    const source = await openInput(path, INPUTS.modelFile);
    await watch?.see(path);
    return await openGgufModel(source);
  }
  if (kind === "onnx") return await openOnnxFile(path, watch);
  return await openModel(new FileFolder(path, watch));
}

/**
 * The config and the tokenizer of an ONNX file lie beside it, or beside the folder "onnx" that it
 * is in.
 */
async function openOnnxFile(path: string, watch?: SourceWatch): Promise<Model> {
  const [folder, file] = [dirname(path), basename(path)];
  const above = basename(folder) === "onnx" && !await isThere(join(folder, "config.json"));
  return above
    ? await openOnnxModel(new FileFolder(dirname(folder), watch), `onnx/${file}`)
    : await openOnnxModel(new FileFolder(folder, watch), file);
}
