import { UnsupportedOpError } from "@lopper/core";
import type { Backend, BackendDescription, Executable, Feeds, HostTensor } from "./backend.ts";

/** The part of the onnxruntime JavaScript interface that its node and web builds share. */
export interface Ort {
  readonly InferenceSession: {
    create(model: Uint8Array, options: Record<string, unknown>): Promise<OrtSession>;
  };
  readonly Tensor: new (dtype: string, data: unknown, dims: readonly number[]) => unknown;
}

interface OrtSession {
  readonly inputNames: readonly string[];
  run(feeds: Record<string, unknown>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** A backend on either build of onnxruntime; the adapters differ only in description and session options. */
export class OrtBackend implements Backend {
  readonly description: BackendDescription;
  readonly #ort: Ort;
  readonly #sessionOptions: Record<string, unknown>;
  readonly #alive = new Set<OrtExecutable>();

  constructor(ort: Ort, description: BackendDescription, sessionOptions: Record<string, unknown>) {
    this.#ort = ort;
    this.description = description;
    this.#sessionOptions = sessionOptions;
  }

  async compile(onnx: Uint8Array): Promise<Executable> {
    let session;
    try {
      session = await this.#ort.InferenceSession.create(onnx, this.#sessionOptions);
    } catch (error) {
      throw asUnsupportedOp(this.description.name, error) ?? error;
    }
    const executable = new OrtExecutable(
      this.#ort,
      session,
      () => this.#alive.delete(executable),
    );
    this.#alive.add(executable);
    return executable;
  }

  async dispose() {
    for (const executable of [...this.#alive]) await executable.dispose();
  }
}

class OrtExecutable implements Executable {
  readonly #ort: Ort;
  readonly #session: OrtSession;
  readonly #onDispose: () => void;
  #disposed = false;

  constructor(ort: Ort, session: OrtSession, onDispose: () => void) {
    this.#ort = ort;
    this.#session = session;
    this.#onDispose = onDispose;
  }

  async run(feeds: Feeds) {
    if (this.#disposed) throw new TypeError("the executable was disposed");
    const inputs: Record<string, unknown> = {};
    for (const name of this.#session.inputNames) {
      const tensor = feeds[name];
      if (!tensor) throw new TypeError(`graph input ${name} has no feed`);
      inputs[name] = new this.#ort.Tensor(tensor.dtype, tensor.data, tensor.dims);
    }
    const fetches = await this.#session.run(inputs);
    return Object.fromEntries(
      Object.entries(fetches).map(([name, { type, dims, data }]) => [
        name,
        { dtype: type, dims, data } as HostTensor,
      ]),
    );
  }

  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#onDispose();
    await this.#session.release();
  }
}

/** onnxruntime says so in words only: the two messages that mean "no kernel", and nothing else, become a refusal. */
function asUnsupportedOp(backend: string, error: unknown): UnsupportedOpError | undefined {
  const message = error instanceof Error ? error.message : String(error);
  const missing = /Could not find an implementation for (\w+)/.exec(message) ??
    /No Op registered for (\w+)/.exec(message) ??
    /(?:Fatal error: )?[\w.]+:(\w+)\(-?\d+\) is not a registered function\/op/.exec(message);
  return missing
    ? new UnsupportedOpError(backend, missing[1], undefined, { cause: error })
    : undefined;
}
