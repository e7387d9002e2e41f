/** An engine of one thread in a thread of its own, with memory of its own. */
import { UnsupportedOpError } from "@lopper/core";
import { threadScope } from "@lopper/threads";
import type { Backend, Executable } from "../backend.ts";
import type { EngineAnswer, EngineRequest, Fetches } from "./protocol.ts";

const scope = await threadScope();
const executables = new Map<number, Executable>();
let engine: Promise<Backend> | null = null;
let turn = Promise.resolve();

// Heard from the first moment on: what was sent while a module loads would be lost in a browser.
scope.onmessage = ({ data }: MessageEvent<EngineRequest>) => {
  turn = turn.then(() => answer(data)).catch((error) => post({ problem: String(error) }));
};

async function answer(request: EngineRequest): Promise<void> {
  const found = await answerTo(request);
  post(found, "fetches" in found ? buffersOf(found.fetches) : []);
}

function post(answer: EngineAnswer, transfer: readonly ArrayBuffer[] = []) {
  scope.postMessage(answer, { transfer });
}

async function answerTo(request: EngineRequest): Promise<EngineAnswer> {
  try {
    return { fetches: await done(request) };
  } catch (error) {
    if (error instanceof UnsupportedOpError) {
      return { unsupported: { op: error.op, dtype: error.dtype } };
    }
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

async function done(request: EngineRequest): Promise<Fetches> {
  if ("run" in request) return await executables.get(request.run)!.run(request.feeds);
  if ("release" in request) await executables.get(request.release)?.dispose();
  else {
    engine ??= import("../web_engine.ts").then(({ openWebEngine }) => openWebEngine());
    executables.set(request.compile, await (await engine).compile(request.onnx));
  }
  return {};
}

/** The buffers of fetches, each once: they are the caller's. */
function buffersOf(fetches: Fetches): ArrayBuffer[] {
  const buffers = new Set(Object.values(fetches).map(({ data }) => data.buffer));
  return [...buffers].filter((buffer) => buffer instanceof ArrayBuffer);
}
