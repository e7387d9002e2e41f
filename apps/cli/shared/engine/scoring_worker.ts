import { modelDigest } from "@lopper/models";
import { openWorker } from "@lopper/run";
import { threadScope } from "@lopper/threads";
import { WorkError, workText } from "@lopper/workers";
import { budgetNow } from "../inputs/memory_budget.ts";
import { findNativeEngine } from "../inputs/native_engine.ts";
import { openUserBackend } from "../inputs/open_backend.ts";
import { openLocated, TOLD } from "../inputs/open_model.ts";
import type { EngineOptions, FromEngine, ToEngine } from "./engine_thread.ts";

/** The thread of an `EngineThread`: it has the model, and computes. */
const scope = await threadScope();
const post = (message: FromEngine) => scope.postMessage(message, { transfer: [] });
const texts = new Map<number, PromiseWithResolvers<string | null>>();
let worker: Awaited<ReturnType<typeof openWorker>> | null = null;

scope.onmessage = ({ data }: MessageEvent<ToEngine>) => {
  if (data.type === "text") {
    texts.get(data.id)?.resolve(data.text);
    return;
  }
  const id = data.type === "work" ? data.id : null;
  const done = data.type === "open" ? open(data.options, data.setup) : work(data.id, data.job);
  done.catch((error) => {
    const message = error instanceof Error ? error.message : String(error);
    post({ type: "failed", id, message });
  });
};

async function open(
  { path, title, backend: name, threads, memory, share, modelDigest: known }: EngineOptions,
  setup: { readonly name: string; readonly text: string },
) {
  const model = await openLocated({ path, title }, TOLD);
  const digest = known ?? await modelDigest(model);
  await findNativeEngine(name);
  const backend = await openUserBackend(name, { threads }, () => {});
  const budget = () => budgetNow(memory) / share;
  worker = await openWorker(model, digest, setup, { backend, memory: budget });
  post({ type: "opened", modelDigest: digest });
}

async function work(id: number, job: { readonly name: string; readonly text: string }) {
  const answer = await worker!.work(job, async (name) => {
    const asked = Promise.withResolvers<string | null>();
    texts.set(id, asked);
    post({ type: "needs", id, name });
    const text = await asked.promise;
    texts.delete(id);
    if (text === null) throw new WorkError(`what is named ${name.slice(0, 15)} is not there`);
    return text;
  });
  post({ type: "answer", id, text: workText(answer) });
}
