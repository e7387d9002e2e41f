import { UnsupportedOpError } from "@lopper/core";
import { nodeModels } from "@lopper/graphs";
import type {
  Backend,
  BackendDescription,
  Executable,
  Feeds,
  HostTensor,
  Weights,
} from "./backend.ts";

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

/** Options of onnxruntime for every session. */
export type SessionOptions = Readonly<Record<string, unknown>>;

export interface DeviceOptions {
  /** Operators whose results on the device are not to be trusted. */
  readonly avoid: readonly string[];
}

/**
 * A backend on either build of onnxruntime; the adapters differ only in description and session
 * options.
 */
export class OrtBackend implements Backend {
  readonly description: BackendDescription;
  readonly #ort: Ort;
  readonly #sessionOptions: SessionOptions;
  readonly #device: DeviceOptions | undefined;
  /** Kinds of node that the device is known to run. */
  readonly #placed = new Set<string>();
  readonly #alive = new Set<OrtExecutable>();

  /** With `device`, a graph is refused when the engine would compute some of it on the host. */
  constructor(
    ort: Ort,
    description: BackendDescription,
    sessionOptions: SessionOptions,
    device?: DeviceOptions,
  ) {
    this.#ort = ort;
    this.description = description;
    this.#sessionOptions = sessionOptions;
    this.#device = device;
  }

  async compile(onnx: Uint8Array, weights: Weights = {}): Promise<Executable> {
    if (this.#device) await this.#checkPlacement(onnx, this.#device);
    const externalData = Object.entries(weights).map((
      [path, { buffer, byteOffset, byteLength }],
    ) => ({
      path,
      data: new Uint8Array(buffer, byteOffset, byteLength),
    }));
    let session;
    try {
      session = await this.#ort.InferenceSession.create(onnx, {
        ...this.#sessionOptions,
        ...(externalData.length > 0 && { externalData }),
      });
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

  async [Symbol.asyncDispose]() {
    for (const executable of [...this.#alive]) await executable.dispose();
  }

  /**
   * What a device has no kernel for, onnxruntime runs on the host without a word. It has a switch
   * against that, but this also forbids the arithmetic of shapes, which belongs there: hence one
   * kind of node at a time.
   */
  async #checkPlacement(onnx: Uint8Array, { avoid }: DeviceOptions) {
    const { name } = this.description;
    for (const { op, key, onnx: alone } of nodeModels(onnx)) {
      if (this.#placed.has(key)) continue;
      if (avoid.includes(op)) throw new UnsupportedOpError(name, op, "float32");
      try {
        const session = await this.#ort.InferenceSession.create(alone, {
          ...this.#sessionOptions,
          extra: { "session.disable_cpu_ep_fallback": "1" },
        });
        await session.release();
      } catch (error) {
        if (/assigned to the default CPU EP/.test(String(error))) {
          throw new UnsupportedOpError(name, op, "float32", { cause: error });
        }
        throw asUnsupportedOp(name, error) ?? error;
      }
      this.#placed.add(key);
    }
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

/**
 * onnxruntime says so in words only: the two messages that mean "no kernel", and nothing else,
 * become a refusal.
 */
function asUnsupportedOp(backend: string, error: unknown): UnsupportedOpError | undefined {
  const message = error instanceof Error ? error.message : String(error);
  const missing = /Could not find an implementation for (\w+)/.exec(message) ??
    /No Op registered for (\w+)/.exec(message) ??
    /(?:Fatal error: )?[\w.]+:(\w+)\(-?\d+\) is not a registered function\/op/.exec(message);
  return missing
    ? new UnsupportedOpError(backend, missing[1], undefined, { cause: error })
    : undefined;
}
