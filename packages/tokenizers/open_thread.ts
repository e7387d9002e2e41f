/** A thread that takes messages. */
export interface MessageThread {
  postMessage(message: unknown): void;
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
  if (!("Worker" in globalThis)) return await openNodeThread(module, events);
  const worker = new Worker(module, { type: "module" });
  worker.onmessage = ({ data }) => events.onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    events.onError(event.message);
  };
  return worker;
}

async function openNodeThread(module: URL, events: ThreadEvents): Promise<MessageThread> {
  const threads = await import("node:worker_threads");
  const worker = new threads.Worker(module);
  worker.on("message", (data) => events.onMessage(data));
  worker.on("error", (error) => events.onError(String(error)));
  return {
    postMessage: (message) => worker.postMessage(message),
    terminate: () => void worker.terminate(),
  };
}

/** The global object of a web worker; in Node, the port to whoever started the thread. */
export async function threadScope(): Promise<ThreadScope> {
  if ("postMessage" in globalThis) return globalThis as unknown as ThreadScope;
  const { parentPort } = await import("node:worker_threads");
  return parentPort as unknown as ThreadScope;
}
