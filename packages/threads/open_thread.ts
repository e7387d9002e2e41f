/**
 * The web worker of this platform, as it was at first: onnxruntime-web 1.30.0 puts Node's class in
 * its place in Deno when it makes its first session.
 */
const WebWorker = "Worker" in globalThis ? Worker : null;

/** A thread that takes messages. */
export interface MessageThread {
  /** @param transfer buffers that are handed over, not copied. */
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  terminate(): void;
}

export interface ThreadEvents {
  onMessage(data: unknown): void;
  /** The thread ended by itself. */
  onError(message: string): void;
}

/** What a thread itself hears and says. */
export interface ThreadScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, options: { transfer: readonly Transferable[] }): void;
}

/**
 * Starts a module in a thread of its own: a web worker in browsers and Deno, and what Node has in
 * its place.
 */
export async function openThread(module: URL, events: ThreadEvents): Promise<MessageThread> {
  if (!WebWorker) return await openNodeThread(module, events);
  const worker = new WebWorker(module, { type: "module" });
  worker.onmessage = ({ data }) => events.onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    events.onError(event.message);
  };
  return {
    postMessage: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    terminate: () => worker.terminate(),
  };
}

async function openNodeThread(module: URL, events: ThreadEvents): Promise<MessageThread> {
  const threads = await import("node:worker_threads");
  const worker = new threads.Worker(module);
  worker.on("message", (data) => events.onMessage(data));
  worker.on("error", (error) => events.onError(String(error)));
  return {
    postMessage: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    terminate: () => void worker.terminate(),
  };
}

/** The global object of a web worker; in Node, the port to whoever started the thread. */
export async function threadScope(): Promise<ThreadScope> {
  if ("postMessage" in globalThis) return globalThis as unknown as ThreadScope;
  const { parentPort } = await import("node:worker_threads");
  return parentPort as unknown as ThreadScope;
}
