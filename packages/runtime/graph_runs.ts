import type { Backend, Executable } from "@lopper/backends";

/** The graphs of one decoder, each compiled once, and their runs, one after another. */
export class GraphRuns {
  readonly backend: Backend;
  readonly #executables = new Map<string, Promise<Executable>>();
  /** Settles when no run reads weights any more. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /** The graph that `build` makes; the same key stands for the same graph. */
  compiled(key: string, build: () => Uint8Array): Promise<Executable> {
    let executable = this.#executables.get(key);
    if (!executable) {
      executable = this.backend.compile(build());
      this.#executables.set(key, executable);
    }
    return executable;
  }

  /**
   * Runs one call after another. Weights may lie in a buffer that the next use overwrites, and
   * engines read their feeds some time after `run` is called.
   */
  inTurn<T>(use: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(use);
    // Settled with nothing: what came out is not to stay in memory for the sake of the order.
    this.#turn = result.then(() => {}, () => {});
    return result;
  }

  /** Releases the compiled graphs. The backend stays open. */
  async dispose() {
    const executables = [...this.#executables.values()];
    this.#executables.clear();
    for (const executable of executables) await (await executable).dispose();
  }
}
