import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { nativePlace } from "./native_place.ts";

/**
 * What onnxruntime's CUDA provider consists of; looked for beside the native binding, and nowhere
 * else.
 */
const FILES = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"];

/** The folder of onnxruntime-node's native binding. */
export function bindingFolder(): string {
  const place = nativePlace();
  if (place && "bindingFolder" in place) return place.bindingFolder;
  const main = place ? pathToFileURL(place.main) : import.meta.resolve("onnxruntime-node");
  const folder = `../bin/napi-v6/${process.platform}/${process.arch}/`;
  return fileURLToPath(new URL(folder, main));
}

/** Files of the CUDA provider that are not there. Does not load anything. */
export function missingCudaFiles(): readonly string[] {
  return FILES.filter((file) => !existsSync(bindingFolder() + file));
}

/**
 * Why the CUDA provider does not load, in the dynamic loader's words, e.g. which library it misses.
 * To be asked only once onnxruntime has failed to load it, since what does load stays in the
 * process.
 */
export function loaderMessage(): string | undefined {
  try {
    process.dlopen({ exports: {} }, bindingFolder() + FILES[1]);
  } catch (error) {
    return error instanceof Error ? error.message.split("\n")[0] : undefined;
  }
}
