/** Where a file is written to. It appears under its name on `commit`, whole, or not at all. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  /** Drops what was written; harmless after `commit` and when repeated. */
  abort(): Promise<void>;
}

/** Collects what is written in memory. */
export class MemorySink implements ByteSink {
  readonly #parts: Uint8Array[] = [];
  #committed = false;

  write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes.slice());
    return Promise.resolve();
  }

  commit(): Promise<void> {
    this.#committed = true;
    return Promise.resolve();
  }

  abort(): Promise<void> {
    if (!this.#committed) this.#parts.length = 0;
    return Promise.resolve();
  }

  /** What was committed. @throws {TypeError} before `commit`. */
  get bytes(): Uint8Array {
    if (!this.#committed) throw new TypeError("nothing was committed");
    const whole = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.byteLength, 0));
    let offset = 0;
    for (const part of this.#parts) {
      whole.set(part, offset);
      offset += part.byteLength;
    }
    return whole;
  }
}
