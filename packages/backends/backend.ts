import type { AttentionOp } from "@lopper/graphs";

/**
 * The port behind which a graph runs. A backend knows nothing of models: it compiles an ONNX graph
 * and runs it on feeds that live in host memory. It refuses what it cannot run with
 * `UnsupportedOpError`; every other failure propagates. Its end releases every executable that is
 * still alive.
 */
export interface Backend extends AsyncDisposable {
  readonly description: BackendDescription;
  /**
   * Compiles an ONNX model. `weights` are the values of the weights that the graph declares and
   * does not hold; they are copied, to the device where there is one.
   * @throws {UnsupportedOpError} when the engine has no kernel for a node of the graph, or none on
   *   its device.
   */
  compile(onnx: Uint8Array, weights?: Weights): Promise<Executable>;
}

export interface Executable {
  /**
   * Runs the graph. The feeds' buffers are only read; the fetches' buffers belong to the caller.
   * @throws {TypeError} when a declared input is missing from `feeds`.
   */
  run(feeds: Feeds): Promise<Readonly<Record<string, HostTensor>>>;
  dispose(): Promise<void>;
}

export type Feeds = Readonly<Record<string, HostTensor>>;
/**
 * float32 values by name, or the bytes of a file of weights by its path in the graph; shapes are in
 * the graph.
 */
export type Weights = Readonly<Record<string, Float32Array | Uint8Array>>;

/** A dense row-major tensor in host memory. A bool is a byte, 0 or 1. */
export type HostTensor =
  | { readonly dtype: "bool"; readonly dims: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: "float32"; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "int32"; readonly dims: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: "int64"; readonly dims: readonly number[]; readonly data: BigInt64Array };

export interface BackendDescription {
  /** Name on the command line: "cpu", "wasm", "cuda" or "webgpu". */
  readonly name: string;
  /** Engine and version, e.g. "onnxruntime-node 1.30.0". */
  readonly engine: string;
  readonly threads: number;
  /** Engines that share out the rows of a run, each with memory of its own; one, as a rule. */
  readonly engines: number;
  /** The fastest way to compute attention on this engine, among those that it computes rightly. */
  readonly attentionOp: AttentionOp;
  /** The engine has a kernel for the LogSoftmax operator. */
  readonly logSoftmax: boolean;
  /**
   * Feeds cross a bus on every run, so weights are better given to `compile`: they then stay on the
   * device. Without it, feeding a weight costs nothing, and one graph serves all layers.
   */
  readonly residentWeights: boolean;
  /** Hard limit on the memory of the engine in bytes, or null. */
  readonly memoryLimitBytes: number | null;
}

export interface BackendOptions {
  /** Threads that one operator may use, at least 1; without it, what suits the engine. */
  readonly threads?: number;
}

export function float32(data: Float32Array, dims: readonly number[]): HostTensor {
  return { dtype: "float32", dims, data };
}

/** One truth value, without dimensions. */
export function bool(value: boolean): HostTensor {
  return { dtype: "bool", dims: [], data: Uint8Array.of(value ? 1 : 0) };
}

export function int32(values: readonly number[], dims: readonly number[]): HostTensor {
  return { dtype: "int32", dims, data: Int32Array.from(values) };
}

export function int64(values: readonly number[], dims: readonly number[]): HostTensor {
  return { dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

/**
 * The float32 values of a fetch.
 * @throws {TypeError} when there is no fetch of that name and dtype.
 */
export function float32Data(fetches: Readonly<Record<string, HostTensor>>, name: string) {
  const tensor = fetches[name];
  if (tensor?.dtype !== "float32") {
    throw new TypeError(`fetch ${name} is ${tensor ? tensor.dtype : "missing"}, not float32`);
  }
  return tensor.data;
}

/**
 * The int64 values of a fetch, as numbers.
 * @throws {TypeError} when there is no fetch of that name and dtype.
 */
export function int64Data(fetches: Readonly<Record<string, HostTensor>>, name: string): number[] {
  const tensor = fetches[name];
  if (tensor?.dtype !== "int64") {
    throw new TypeError(`fetch ${name} is ${tensor ? tensor.dtype : "missing"}, not int64`);
  }
  return Array.from(tensor.data, Number);
}
