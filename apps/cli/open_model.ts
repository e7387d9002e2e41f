import { fileURLToPath } from "node:url";
import { DEMO_MODEL, DEMO_MODEL_NAME } from "@lopper/demo-model";
import { type Model, openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { basename } from "node:path";
import { userPath } from "./paths.ts";

/** The embedded model, by this word where a path is needed. */
const DEMO = "demo";

/** A model folder that the user named, or the embedded model. */
export async function openUserModel(
  path: string | null,
): Promise<{ model: Model; title: string }> {
  if (path === null || (path === DEMO && !await exists(userPath(DEMO)))) {
    const folder = new FileFolder(fileURLToPath(DEMO_MODEL));
    return { model: await openModel(folder), title: DEMO_MODEL_NAME };
  }
  const full = userPath(path);
  return { model: await openModel(new FileFolder(full)), title: basename(full) };
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
