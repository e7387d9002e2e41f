// Before the engine: modules are evaluated in the order of their imports.
import "./no_telemetry.ts";
import { BackendUnavailableError } from "@lopper/core";
import Module, { createRequire } from "node:module";
import { basename, join } from "node:path";
import process from "node:process";
import { nativePlace } from "./native_place.ts";
import type { Ort } from "./ort.ts";

type Engine = typeof import("onnxruntime-node");

const onnxruntime = await load();

// onnxruntime writes to the terminal by itself; what it reports there comes as an error as well.
onnxruntime.env.logLevel = "fatal";

/** onnxruntime's native build, which all native backends share. */
export const ort = onnxruntime as unknown as Ort;

const { versions } = onnxruntime.env;
export const ENGINE_VERSION = versions.node ?? versions.common;
export const ENGINE = `onnxruntime-node ${ENGINE_VERSION}`;

/** Whether this build knows the execution provider, e.g. "cuda", be it installed or not. */
export function knowsProvider(name: string): boolean {
  return onnxruntime.listSupportedBackends().some((backend) => backend.name === name);
}

async function load(): Promise<Engine> {
  const place = nativePlace();
  try {
    if (place && "main" in place) return createRequire(place.main)(place.main);
    if (place) loadBindingsFrom(place.bindingFolder);
    return await import("onnxruntime-node");
  } catch (error) {
    throw unavailable(error) ?? error;
  }
}

/** Native files of modules that are not on a disk are taken from this folder of it. */
function loadBindingsFrom(folder: string) {
  const { _extensions } = Module as unknown as {
    _extensions: Record<string, (module: { exports: unknown }, path: string) => void>;
  };
  const load = _extensions[".node"];
  _extensions[".node"] = (module, path) => load(module, join(folder, basename(path)));
}

const SYSTEMS = "Linux or Windows on x64 or ARM, or macOS on ARM";

/** What is missing, in words, where it is the package or its engine for this system. */
function unavailable(error: unknown): BackendUnavailableError | null {
  const message = String(error);
  if (!/Cannot find (?:module|package)/.test(message)) return null;
  const [found, needed] = /onnxruntime_binding/.test(message)
    ? [`onnxruntime-node has no engine for ${process.platform} ${process.arch}`, SYSTEMS]
    : [
      "onnxruntime-node is not installed",
      "that package beside Lopper: npm install onnxruntime-node",
    ];
  return new BackendUnavailableError("native", found, needed, { cause: error });
}
