import { CheckpointFormatError } from "@lopper/core";
import type { ByteSink } from "../byte_sink.ts";
import type { ByteSource } from "../byte_source.ts";
import { decodeText } from "../header_cursor.ts";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./header.ts";
import type { MetadataEntry } from "./metadata.ts";
import { type GgufTensorEntry, writeGguf } from "./writer.ts";

/** What is known of the inputs of one tensor: of one matrix, or of several that are stacked. */
export interface ImportanceEntry {
  /** Sums of the squares of each input, `[matrices, inputs]`. */
  readonly squares: Float32Array;
  /** Sums of the inputs themselves, as newer files have them, `[matrices, inputs]`. */
  readonly sums?: Float32Array;
  /** Tokens that each matrix has seen; where the file does not say it by matrix, calls, once. */
  readonly counts: Float32Array;
}

/**
 * An importance matrix of llama.cpp (tools/imatrix): what the inputs of a model's matrices are
 * like, by which its quantiser weights their columns.
 */
export interface ImportanceMatrix {
  /** By the names of tensors. */
  readonly entries: ReadonlyMap<string, ImportanceEntry>;
  /** What a GGUF file says of it; null for the form before GGUF, imatrix.dat. */
  readonly metadata: readonly MetadataEntry[] | null;
  /** What stands behind the entries of an imatrix.dat: chunks, and the name of the text. */
  readonly ending: Uint8Array;
}

/** As many as a GGUF file may have tensors. */
const MAX_ENTRIES = 65_536;
const MAX_NAME_BYTES = 1024;
/** Those of the largest mixtures take some hundred MB. */
const MAX_BYTES = 2 ** 31;
const GGUF_MAGIC = 0x4655_4747;
/** Without these, llama.cpp's quantiser does not take a file. */
const NEEDED = ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"];
const [SQUARES, SUMS, COUNTS] = [".in_sum2", ".in_sum", ".counts"];

/**
 * Reads an importance matrix in either form.
 * @throws {CheckpointFormatError} when it is neither, ends early, or has what is no number.
 */
export async function readImportanceMatrix(source: ByteSource): Promise<ImportanceMatrix> {
  const file = source.name;
  if (source.size < 8 || source.size > MAX_BYTES) {
    throw new CheckpointFormatError(`it has ${source.size} bytes, which no importance matrix has`, {
      file,
    });
  }
  const start = await source.read(0, 4);
  const magic = new DataView(start.buffer, start.byteOffset, 4).getUint32(0, true);
  const matrix = magic === GGUF_MAGIC ? await readGguf(source) : await readPlain(source);
  for (const [tensor, { squares, sums, counts }] of matrix.entries) {
    if ([squares, sums ?? [], counts].every((values) => values.every(Number.isFinite))) continue;
    throw new CheckpointFormatError("it has values that are no finite numbers", { file, tensor });
  }
  return matrix;
}

/** Writes an importance matrix in the form in which it was read. */
export async function writeImportanceMatrix(
  sink: ByteSink,
  { entries, metadata, ending }: ImportanceMatrix,
): Promise<void> {
  if (metadata) {
    await writeGguf(sink, metadata, [...entries].flatMap(([name, entry]) => tensors(name, entry)));
    return;
  }
  await sink.write(int32(entries.size));
  for (const [name, { squares, counts }] of entries) {
    const bytes = new TextEncoder().encode(name);
    await sink.write(int32(bytes.length));
    await sink.write(bytes);
    await sink.write(int32(counts[0], squares.length));
    await sink.write(bytesOf(squares));
  }
  if (ending.length > 0) await sink.write(ending);
}

async function readGguf(source: ByteSource): Promise<ImportanceMatrix> {
  const header = await readGgufHeader(source);
  const { metadata, tensors } = header;
  const missing = NEEDED.find((key) => !metadata.get(key));
  if (missing !== undefined) {
    throw metadata.refuse(missing, "it is missing, and importance matrices of llama.cpp have it");
  }
  const entries = new Map<string, ImportanceEntry>();
  for (const name of tensors.keys()) {
    if (!name.endsWith(SQUARES)) continue;
    const tensor = name.slice(0, -SQUARES.length);
    const [squares, counts] = await Promise.all(
      [SQUARES, COUNTS].map((ending) => values(source, header, tensor + ending)),
    );
    const sums = tensors.has(tensor + SUMS) ? await values(source, header, tensor + SUMS) : null;
    const fits = squares.length % counts.length === 0 &&
      (sums ?? squares).length === squares.length;
    if (!fits) {
      throw new CheckpointFormatError(
        `${squares.length} squares, ${counts.length} counts and ${
          sums?.length ?? "no"
        } sums do not go together`,
        { file: source.name, tensor },
      );
    }
    entries.set(tensor, { squares, counts, ...(sums && { sums }) });
  }
  if (entries.size === 0) {
    throw new CheckpointFormatError("it is no importance matrix: no tensor ends in .in_sum2", {
      file: source.name,
    });
  }
  const said = await Promise.all(metadata.keys().map((key) => metadata.entry(key)));
  return { entries, metadata: said, ending: new Uint8Array() };
}

async function values(
  source: ByteSource,
  { tensors }: GgufHeader,
  name: string,
): Promise<Float32Array> {
  const tensor: GgufTensor | undefined = tensors.get(name);
  if (tensor?.type.name !== "F32") {
    const problem = tensor ? `it is ${tensor.type.name}` : "it is missing";
    throw new CheckpointFormatError(`${problem}, and an importance matrix needs it in F32`, {
      ...{ file: source.name, tensor: name },
    });
  }
  const bytes = await source.read(tensor.offset, tensor.byteLength);
  return new Float32Array(bytes.slice().buffer);
}

/** imatrix.dat: entries one after the other, each with its name, its calls and its values. */
async function readPlain(source: ByteSource): Promise<ImportanceMatrix> {
  const file = source.name;
  const bytes = await source.read(0, source.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (length: number, what: string) => {
    if (length <= bytes.length - at) return at += length;
    throw new CheckpointFormatError(`it ends within ${what}`, { file, offset: at });
  };
  const whole = (what: string, most: number, least = 1) => {
    const value = view.getInt32(take(4, what) - 4, true);
    if (value >= least && value <= most) return value;
    const problem = `${what} is ${value}; ${least} to ${most} are expected of an importance matrix`;
    throw new CheckpointFormatError(problem, { file, offset: at - 4 });
  };
  const entries = new Map<string, ImportanceEntry>();
  const count = whole("the number of its entries", MAX_ENTRIES);
  for (let i = 0; i < count; i++) {
    const length = whole("the length of a name", MAX_NAME_BYTES);
    const end = take(length, "a name");
    const name = decodeText(bytes.subarray(end - length, end), file, { offset: end - length });
    const calls = whole("the number of calls", 2 ** 31 - 1, 0);
    const size = 4 * whole("the number of values", Math.floor((bytes.length - at) / 4));
    const last = take(size, `the values of ${name}`);
    const squares = new Float32Array(bytes.slice(last - size, last).buffer);
    entries.set(name, { squares, counts: Float32Array.of(calls) });
  }
  return { entries, metadata: null, ending: bytes.slice(at) };
}

function tensors(name: string, { squares, sums, counts }: ImportanceEntry) {
  const matrices = counts.length;
  const entry = (ending: string, values: Float32Array): GgufTensorEntry => ({
    name: name + ending,
    type: "F32",
    shape: [matrices, values.length / matrices],
    data: () => Promise.resolve(bytesOf(values)),
  });
  return [
    entry(SQUARES, squares),
    entry(COUNTS, counts),
    ...(sums ? [entry(SUMS, sums)] : []),
  ];
}

function int32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
