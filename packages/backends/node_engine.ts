// Before the engine: modules are evaluated in the order of their imports.
import "./no_telemetry.ts";
import * as onnxruntime from "onnxruntime-node";
import type { Ort } from "./ort.ts";

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
