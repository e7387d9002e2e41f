import { placeNativeEngine } from "@lopper/backends";
import { INPUTS, WriteError } from "@lopper/core";
import { FileSink, FileSource, writing } from "@lopper/files";
import { mkdir, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type CarriedEngine, ownBuild } from "../../build.ts";
import { isRunByNpx } from "../../called_as.ts";
import { cacheFolder } from "./cache_folder.ts";

/** Bytes that are copied at once. */
const PIECE = 2 ** 24;

/**
 * Sees to it that a release finds the native engine, before a command opens a backend.
 * @param backend the one that was asked for, if any.
 */
export async function findNativeEngine(backend: string | undefined): Promise<void> {
  const build = ownBuild();
  if (build === null || backend === "wasm") return;
  if (build.engine) return placeNativeEngine({ bindingFolder: await takenOut(build.engine) });
  const main = isRunByNpx() ? engineOfProject() : null;
  if (main !== null) placeNativeEngine({ main });
}

/**
 * The native files that a binary carries, in the user's cache: a system loads them only from a
 * disk. Each takes its place whole, so that its size tells that it is there.
 */
async function takenOut({ name, folder, files }: CarriedEngine): Promise<string> {
  const place = join(cacheFolder(), "engines", name);
  try {
    await writing(place, () => mkdir(place, { recursive: true }));
    for (const { name, bytes } of files) {
      const path = join(place, name);
      const found = await stat(path).catch(() => null);
      if (found?.size !== bytes) await copy(fileURLToPath(new URL(name, folder)), path);
    }
    return place;
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    const reason = `${error.reason}; the native engine is put there, LOPPER_CACHE names another ` +
      "folder, and --backend wasm needs none";
    throw new WriteError(error.file, reason, { cause: error });
  }
}

async function copy(from: string, to: string) {
  const source = await FileSource.open(from, INPUTS.modelFile);
  const sink = await FileSink.open(to);
  try {
    for (let at = 0; at < source.size; at += PIECE) {
      await sink.write(await source.read(at, Math.min(PIECE, source.size - at)));
    }
    await sink.commit();
  } finally {
    source.close();
    await sink.abort();
  }
}

/**
 * That of the project in whose folder the user stands. npx keeps Lopper elsewhere, and runs what a
 * project has installed anyway.
 */
function engineOfProject(): string | null {
  const project = process.env.npm_config_local_prefix ?? process.cwd();
  try {
    return createRequire(join(project, "package.json")).resolve("onnxruntime-node");
  } catch {
    return null;
  }
}
