import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { HeaderCursor } from "../header_cursor.ts";
import {
  GgufMetadata,
  type MetadataValue,
  SCALARS,
  type ScalarType,
  VALUE_TYPES,
} from "./metadata.ts";
import { type GgufTensorType, tensorType } from "./tensor_types.ts";

/*
 * @huggingface/gguf 0.4.6 reads this format, too, and is not used: it reads on behind the end of a
 * short file as if zeros followed. 24 bytes that promise nine million tensors took it 5 seconds and
 * 390 MB. What would have to be checked before it may see a file is all that is done here.
 */

const MAGIC = 0x4655_4747; // "GGUF", little-endian
const VERSIONS = [2, 3];
/**
 * Real files have 20 to 60 entries, and tensors by the thousand (DeepSeek V3: 1,025). An entry
 * costs a few hundred bytes of memory, so that these limits keep what any header can cost below 64
 * MiB and the names, which are in the file.
 */
const MAX_ENTRIES = 4096;
const MAX_TENSORS = 65_536;
/** The specification's limit on keys. */
const MAX_KEY_BYTES = 65_535;
/** ggml.h, GGML_MAX_NAME and GGML_MAX_DIMS. */
const MAX_NAME_BYTES = 64;
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
/** A memory page of the largest kind in use; alignment only ever serves mapping. */
const MAX_ALIGNMENT = 2 ** 21;

/**
 * Where one tensor lies. `shape` is row-major, the fastest axis last, as elsewhere; offsets are
 * bytes in the file.
 */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgufTensorType;
  readonly shape: readonly number[];
  readonly offset: number;
  /** Bytes in the file. */
  readonly byteLength: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/**
 * Looks at the metadata before anything else of a file is read. Throws what is to be said of the
 * file.
 */
export type CheckMetadata = (metadata: GgufMetadata) => Promise<void>;

/**
 * Reads the header of a GGUF file (specification: ggml/docs/gguf.md): magic, version, counts,
 * metadata, then names, shapes and places of tensors. Texts and lists stay in the file until they
 * are asked for. Tensors may not overlap, nor leave more room between them than the alignment
 * takes, nor reach beyond the end.
 * @throws {CheckpointFormatError} for every way in which a file can be anything else.
 * @throws {UnsupportedModelError} for versions, byte orders and tensor types that Lopper does not
 *   read.
 */
export async function readGgufHeader(
  source: ByteSource,
  checkMetadata?: CheckMetadata,
): Promise<GgufHeader> {
  const file = source.name;
  const cursor = new HeaderCursor(source);
  await cursor.need(24, "the start of a GGUF file");
  if (cursor.u32() !== MAGIC) cursor.fail('the file does not begin with "GGUF"', 0);
  const version = cursor.u32();
  if (!VERSIONS.includes(version)) {
    const [found, way] = (version & 0xffff) === 0
      ? ["big-endian", " (llama.cpp's gguf_convert_endian.py makes one)"]
      : [`of version ${version}`, ""];
    throw new UnsupportedModelError(
      `${file}: the GGUF file is ${found}; Lopper reads little-endian files of versions 2 and 3${way}`,
    );
  }
  const tensorCount = limited(cursor, "the number of tensors", MAX_TENSORS);
  const entryCount = limited(cursor, "the number of metadata entries", MAX_ENTRIES);

  const values = new Map<string, MetadataValue>();
  for (let i = 0; i < entryCount; i++) {
    const start = cursor.position;
    const key = await readText(cursor, "a metadata key", MAX_KEY_BYTES);
    if (values.has(key)) {
      cursor.fail(`the metadata has the key ${JSON.stringify(key)} twice`, start);
    }
    values.set(key, await readValue(cursor));
  }
  const metadata = new GgufMetadata(source, values);
  await checkMetadata?.(metadata);
  const alignment = alignmentOf(metadata);

  const declared = new Map<string, GgufTensor>();
  for (let i = 0; i < tensorCount; i++) {
    const start = cursor.position;
    const tensor = await readTensor(cursor, file);
    if (declared.has(tensor.name)) {
      throw new CheckpointFormatError("the header names it twice", {
        file,
        tensor: tensor.name,
        offset: start,
      });
    }
    declared.set(tensor.name, tensor);
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = placed([...declared.values()], { file, dataStart, alignment, size: source.size });
  return { version, metadata, tensors };
}

function limited(cursor: HeaderCursor, what: string, limit: number): number {
  const value = cursor.u64(what);
  if (value <= limit) return value;
  return cursor.fail(`${what} is ${value}; at most ${limit} are expected`, cursor.position - 8);
}

async function readText(cursor: HeaderCursor, what: string, limit: number): Promise<string> {
  await cursor.need(8, what);
  const length = cursor.u64(`the length of ${what}`);
  if (length > limit) {
    cursor.fail(`${what} has ${length} bytes; at most ${limit} are allowed`, cursor.position - 8);
  }
  await cursor.need(length, what);
  return cursor.text(length);
}

async function readValue(cursor: HeaderCursor): Promise<MetadataValue> {
  await cursor.need(4, "a metadata type");
  const type = valueType(cursor);
  if (type === "array") {
    await cursor.need(12, "a metadata list");
    const elementType = valueType(cursor);
    // llama.cpp reads no lists of lists, either.
    if (elementType === "array") cursor.fail("a metadata list holds lists", cursor.position - 4);
    const count = cursor.u64("the length of a metadata list");
    const offset = cursor.position;
    if (elementType === "string") await skipTexts(cursor, count);
    else cursor.skip(count * SCALARS[elementType][0], "a metadata list");
    return { type, elementType, count, offset, byteLength: cursor.position - offset };
  }
  if (type === "string") {
    await cursor.need(8, "a metadata text");
    const byteLength = cursor.u64("the length of a metadata text");
    const offset = cursor.position;
    cursor.skip(byteLength, "a metadata text");
    return { type, offset, byteLength };
  }
  const [width, read] = SCALARS[type];
  await cursor.need(width, "a metadata value");
  return { type, value: cursor.scalar(width, read) };
}

function valueType(cursor: HeaderCursor): ScalarType | "string" | "array" {
  const type = VALUE_TYPES[cursor.u32()];
  return type ?? cursor.fail("a metadata type is unknown", cursor.position - 4);
}

async function skipTexts(cursor: HeaderCursor, count: number) {
  for (let i = 0; i < count; i++) {
    if (!cursor.holds(8)) await cursor.need(8, "a metadata text");
    cursor.skip(cursor.u64("the length of a metadata text"), "a metadata text");
  }
}

/** A tensor as the header describes it; `offset` counts from the start of the data, still. */
async function readTensor(cursor: HeaderCursor, file: string): Promise<GgufTensor> {
  const start = cursor.position;
  const name = await readText(cursor, "a tensor's name", MAX_NAME_BYTES);
  const fail = (problem: string): never => {
    throw new CheckpointFormatError(problem, { file, tensor: name, offset: start });
  };
  await cursor.need(4, "a tensor's shape");
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    fail(`it has ${dimensions} dimensions; tensors have 1 to ${MAX_DIMENSIONS}`);
  }
  await cursor.need(8 * dimensions + 12, "a tensor's shape");
  // The file names the fastest axis first.
  const shape = Array.from({ length: dimensions }, () => cursor.u64("a tensor's dimension"))
    .reverse();
  const type = tensorType(cursor.u32(), file, name);
  const offset = cursor.u64("a tensor's offset");
  const count = shape.reduce((product, d) => product * d, 1);
  if (count === 0 || !Number.isSafeInteger(count)) {
    fail(`its shape is [${shape.join(", ")}], which no tensor has`);
  }
  const rowLength = shape[shape.length - 1];
  if (rowLength % type.blockSize !== 0) {
    fail(
      `its rows have ${rowLength} values and ${type.name} needs a multiple of ${type.blockSize}`,
    );
  }
  return { name, type, shape, offset, byteLength: count / type.blockSize * type.blockBytes };
}

/**
 * @throws {CheckpointFormatError} unless it is a power of two from 8 on (the specification's
 * multiple of 8).
 */
function alignmentOf(metadata: GgufMetadata): number {
  const key = "general.alignment";
  const alignment = metadata.count(key) ?? DEFAULT_ALIGNMENT;
  if (alignment >= 8 && alignment <= MAX_ALIGNMENT && Number.isInteger(Math.log2(alignment))) {
    return alignment;
  }
  throw metadata.refuse(
    key,
    `it is ${alignment} and needs to be a power of two from 8 to ${MAX_ALIGNMENT}`,
  );
}

/**
 * Tensors with offsets from the start of the file, each behind the other as llama.cpp needs them.
 */
function placed(
  tensors: readonly GgufTensor[],
  file: { file: string; dataStart: number; alignment: number; size: number },
): ReadonlyMap<string, GgufTensor> {
  const { dataStart, alignment, size } = file;
  const refuse = (tensor: string, problem: string, offset: number): never => {
    throw new CheckpointFormatError(problem, { file: file.file, tensor, offset });
  };
  const sorted = tensors.map((t) => ({ ...t, offset: dataStart + t.offset }))
    .toSorted((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const { name, offset, byteLength } of sorted) {
    if (offset % alignment !== 0) {
      refuse(name, `its data needs to begin on a multiple of ${alignment}`, offset);
    }
    if (offset < end) refuse(name, `its data overlaps what ends at byte ${end}`, offset);
    if (offset - end >= alignment) {
      refuse(name, `${offset - end} bytes before it belong to no tensor`, end);
    }
    end = offset + byteLength;
    if (end > size) {
      refuse(name, `its data ends at byte ${end} and the file has ${size} bytes`, offset);
    }
  }
  return new Map(sorted.map((tensor) => [tensor.name, tensor]));
}
