import type { DType } from "@lopper/core";

/** Where one tensor lies. Offsets are bytes from the start of the file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/**
 * The tensors of a checkpoint in one or several files. Only headers are read until a tensor is
 * asked for.
 */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes of a tensor as they lie in the file, or `byteLength` of them from `byteOffset`. */
  readBytes(name: string, byteOffset?: number, byteLength?: number): Promise<Uint8Array>;
  /**
   * A whole tensor in float32, row-major.
   * @throws {CheckpointFormatError} when a value is NaN or infinite; the offset is that of the
   *   first such value.
   */
  readFloat32(name: string): Promise<Float32Array>;
  /**
   * The bit patterns of a whole F16 or BF16 tensor, row-major.
   * @throws {CheckpointFormatError} as `readFloat32` does.
   */
  readHalves(name: string): Promise<Uint16Array>;
  close(): void;
}
