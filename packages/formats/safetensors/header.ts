import { CheckpointFormatError, DTYPE_BYTES, isDType, shown } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { parseJson } from "../json.ts";
import type { TensorInfo } from "../tensors.ts";

/** The reference implementation's limit on the header. */
const MAX_HEADER_BYTES = 100_000_000;
/**
 * Parsed JSON takes a multiple of its text. Hostile headers may not make that more than the file's
 * size and 64 MiB, so headers above this size need a file that is large, too.
 */
const FREE_HEADER_BYTES = 2 * 1024 * 1024;
const MAX_HEADER_SHARE = 1 / 16;
/**
 * Text is cheap; objects, lists and keys are not: `{}` becomes 60 times its size. Measured, each
 * costs up to 256 bytes, so this many cost 32 MiB, and the file may have one more for every 512 of
 * its bytes. A tensor's entry has seven, which leaves 18,000 tensors in the smallest file (Llama
 * 405B has 1,139 in all).
 */
const FREE_PARTS = 131_072;
const BYTES_PER_PART = 512;
const LENGTH_BYTES = 8;
const METADATA = "__metadata__";

/** What Lopper needs instead of quantised weights, and the way there. */
export const UNQUANTISED =
  "Lopper prunes weights in float32, float16 or bfloat16: open the checkpoint that these were made from";

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Bytes from the start of the file at which the data begins. */
  readonly dataStart: number;
}

/**
 * Reads the header of a safetensors file (specification, "Format"): 8 bytes of little-endian
 * length, a JSON object, then data that the tensors cover from its first byte to its last without a
 * gap or an overlap.
 * @throws {CheckpointFormatError} for every way in which a file can be anything else.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const file = source.name;
  const fail = (problem: string, offset?: number, tensor?: string): never => {
    throw new CheckpointFormatError(problem, { file, offset, tensor });
  };
  if (source.size < LENGTH_BYTES + 2) {
    fail(`the file has ${source.size} bytes and a safetensors file needs at least 10`, 0);
  }
  const lengthBytes = await source.read(0, LENGTH_BYTES);
  const length = Number(
    new DataView(lengthBytes.buffer, lengthBytes.byteOffset).getBigUint64(0, true),
  );
  if (length > MAX_HEADER_BYTES || length < 2) {
    fail(`the header is to have ${length} bytes; it needs 2 to ${MAX_HEADER_BYTES}`, 0);
  }
  if (LENGTH_BYTES + length > source.size) {
    fail(`the header is to have ${length} bytes and the file ends at byte ${source.size}`, 0);
  }
  if (length > FREE_HEADER_BYTES && length > source.size * MAX_HEADER_SHARE) {
    fail(`the header takes ${length} of the file's ${source.size} bytes; that is no checkpoint`, 0);
  }
  const headerBytes = await source.read(LENGTH_BYTES, length);
  if (headerBytes[0] !== 0x7b) fail('the header does not begin with "{"', LENGTH_BYTES);
  checkStructure(headerBytes, FREE_PARTS + Math.floor(source.size / BYTES_PER_PART), fail);
  const json = parseJson(headerBytes, file, { offset: LENGTH_BYTES });

  const dataStart = LENGTH_BYTES + length;
  const dataSize = source.size - dataStart;
  const entries = Object.entries(json as Record<string, unknown>);
  let metadata: ReadonlyMap<string, string> = new Map();
  const tensors: TensorInfo[] = [];
  for (const [name, value] of entries) {
    if (name === METADATA) metadata = parseMetadata(value, fail);
    else tensors.push(parseTensor(name, value, { file, dataStart, dataSize }, fail));
  }
  checkCoverage(tensors, dataStart, source.size, fail);
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata, dataStart };
}

/**
 * Floats of 4, 6 and 8 bits: safetensors has names for them, and no checkpoint of its own makes has
 * them but with scales.
 */
const QUANTISED_DTYPE = /^F[468](?:_|$)/;

type Fail = (problem: string, offset?: number, tensor?: string) => never;

function parseMetadata(value: unknown, fail: Fail): ReadonlyMap<string, string> {
  if (!isObject(value)) fail(`${METADATA} needs to be an object of strings`, LENGTH_BYTES);
  const entries = Object.entries(value as Record<string, unknown>);
  for (const [key, text] of entries) {
    if (typeof text !== "string") {
      fail(`${METADATA}.${key} is ${typeof text} and needs to be a string`, LENGTH_BYTES);
    }
  }
  return new Map(entries as [string, string][]);
}

function parseTensor(
  name: string,
  value: unknown,
  { file, dataStart, dataSize }: { file: string; dataStart: number; dataSize: number },
  fail: Fail,
): TensorInfo {
  const refuse = (problem: string): never => fail(problem, LENGTH_BYTES, name);
  if (!isObject(value)) refuse("its entry is no object");
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (!isDType(dtype)) {
    if (typeof dtype === "string" && QUANTISED_DTYPE.test(dtype)) {
      return refuse(`its dtype is ${shown(dtype)}, so it is quantised; ${UNQUANTISED}`);
    }
    return refuse(
      `its dtype is ${shown(dtype)}; known are ${Object.keys(DTYPE_BYTES).join(" ")}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return refuse("its shape needs to be a list of whole numbers that are not negative");
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return refuse("its data_offsets need to be two whole numbers that are not negative");
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataSize) {
    return refuse(
      `its data_offsets are ${begin} to ${end} and the file has ${dataSize} bytes of data`,
    );
  }
  const needed = (shape as number[]).reduce((product, d) => product * d, DTYPE_BYTES[dtype]);
  if (needed !== end - begin) {
    return refuse(
      `its shape [${
        shape.join(", ")
      }] of ${dtype} needs ${needed} bytes and its data_offsets hold ${end - begin}`,
    );
  }
  return { name, dtype, shape, file, offset: dataStart + begin, byteLength: end - begin };
}

/**
 * Tensors in the order of their data must follow one another from the first byte of data to the
 * last.
 */
function checkCoverage(
  tensors: readonly TensorInfo[],
  dataStart: number,
  fileSize: number,
  fail: Fail,
) {
  const sorted = tensors.toSorted((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const { name, offset, byteLength } of sorted) {
    if (offset < end) {
      fail(`its data overlaps the tensor before it, which ends at byte ${end}`, offset, name);
    }
    if (offset > end) fail(`${offset - end} bytes before it belong to no tensor`, end, name);
    end = offset + byteLength;
  }
  if (end !== fileSize) fail(`${fileSize - end} bytes at the end belong to no tensor`, end);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN = 0x7b, CLOSE = 0x7d, COLON = 0x3a;
const LIST_OPEN = 0x5b, LIST_CLOSE = 0x5d;

/**
 * Refuses, before the parser spends memory on it, a header of more objects, lists and keys than
 * `maxParts`, and one that names a tensor twice: `JSON.parse` would keep the last in silence. On
 * text that is no JSON it finds something or nothing: the parser has the last word.
 */
function checkStructure(json: Uint8Array, maxParts: number, fail: Fail) {
  const seen = new Set<string>();
  let depth = 0, parts = 0;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === OPEN || byte === LIST_OPEN) depth += 1;
    else if (byte === CLOSE || byte === LIST_CLOSE) depth -= 1;
    if (byte === OPEN || byte === LIST_OPEN || byte === COLON) {
      parts += 1;
      if (parts > maxParts) {
        fail(
          `the header has more than ${maxParts} objects, lists and keys; that is no checkpoint`,
          LENGTH_BYTES + i,
        );
      }
    } else if (byte === QUOTE) {
      const start = i;
      for (i += 1; i < json.length && json[i] !== QUOTE; i++) if (json[i] === BACKSLASH) i += 1;
      if (depth !== 1) continue;
      let next = i + 1;
      while (json[next] === 0x20 || (json[next] >= 0x09 && json[next] <= 0x0d)) next += 1;
      if (json[next] !== COLON) continue;
      const key = decodeKey(json.subarray(start, i + 1));
      if (seen.has(key)) fail("the header names it twice", LENGTH_BYTES, key);
      seen.add(key);
    }
  }
}

/** A key with its escapes resolved, so that two spellings of one key are the same. */
function decodeKey(literal: Uint8Array): string {
  const text = new TextDecoder().decode(literal);
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
