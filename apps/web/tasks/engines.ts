import { type Backend, openBackend } from "@lopper/backends";

/** The engine that every browser has. */
export async function openEngine(threads = 1): Promise<Backend> {
  return (await openBackend("wasm", { threads })).backend;
}
