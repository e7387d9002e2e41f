import { CheckpointFormatError } from "@lopper/core";
import { fileURLToPath } from "node:url";
import { DEMO_MODEL, DEMO_MODEL_NAME } from "@lopper/demo-model";
import { type Model, openGgufModel, openModel } from "@lopper/model-io";
import { FileFolder, FileSource } from "@lopper/model-io/files";
import { basename } from "node:path";
import { userPath } from "./paths.ts";

/** The embedded model, by this word where a path is needed. */
const DEMO = "demo";

/** A model that the user named, a folder or a GGUF file, or the embedded model. */
export async function openUserModel(
  path: string | null,
): Promise<{ model: Model; title: string }> {
  if (path === null || (path === DEMO && !await exists(userPath(DEMO)))) {
    const folder = new FileFolder(fileURLToPath(DEMO_MODEL));
    return { model: await openModel(folder), title: DEMO_MODEL_NAME };
  }
  const full = userPath(path);
  return { model: await open(full), title: basename(full) };
}

async function open(path: string): Promise<Model> {
  // A folder may be called so, too.
  const isFile = /\.gguf$/i.test(path) && !(await Deno.stat(path).catch(() => null))?.isDirectory;
  return isFile ? await openGgufModel(await openFile(path)) : await openModel(new FileFolder(path));
}

/** @throws {CheckpointFormatError} when there is no such file. */
async function openFile(path: string): Promise<FileSource> {
  try {
    return await FileSource.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CheckpointFormatError("there is no such file", { file: path }, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
