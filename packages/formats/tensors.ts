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
   * @param into room for its bytes, which may take them, as a `ByteSource` has it.
   * @throws {CheckpointFormatError} as `readFloat32` does.
   */
  readHalves(name: string, into?: Uint8Array): Promise<Uint16Array>;
  close(): void;
}

/**
 * Bytes that are read of a tensor from `byteOffset` on: as many as are asked for, or all.
 * @throws {RangeError} when it has not as many.
 */
export function lengthToRead(
  { name, byteLength: has }: Pick<TensorInfo, "name" | "byteLength">,
  byteOffset: number,
  byteLength = has - byteOffset,
): number {
  if (byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= has) return byteLength;
  throw new RangeError(`tensor ${name} has ${has} bytes, not ${byteLength} from ${byteOffset} on`);
}
