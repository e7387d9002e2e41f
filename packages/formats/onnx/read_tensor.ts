import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import type { OnnxTensor, StoredValues } from "./graph.ts";
import type { GraphParts } from "./graph_parts.ts";
import { BYTES, type Field, key, type MessageCursor, VARINT } from "./message_cursor.ts";

/** The fields of `TensorProto` that are read. */
const TENSOR = {
  dim: key(1, VARINT),
  dims: key(1, BYTES),
  elementType: key(2, VARINT),
  segment: key(3, BYTES),
  floats: key(4, BYTES),
  name: key(8, BYTES),
  raw: key(9, BYTES),
  external: key(13, BYTES),
  location: key(14, VARINT),
};
const ENTRY = { key: key(1, BYTES), value: key(2, BYTES) };
/** `TensorProto.DataLocation` */
const EXTERNAL = 1;

/** What a message says of a tensor, as it says it. */
interface TensorMessage {
  readonly name: string;
  readonly elementType: number;
  readonly shape: readonly number[];
  /** Of `TensorProto.DataLocation`. */
  readonly location: number;
  /** Its entries about a file beside this one. */
  readonly external: ReadonlyMap<string, string>;
  /** Values in the file itself; null where there are none, or where they are in pieces. */
  readonly inline: StoredValues | null;
}

/**
 * Reads a TensorProto; its values are passed over.
 * @throws {CheckpointFormatError} for a shape that no tensor has, and for external data without a
 *   place.
 * @throws {UnsupportedModelError} when it is stored in segments.
 */
export async function readTensor(
  cursor: MessageCursor,
  parts: GraphParts,
  end: number,
): Promise<OnnxTensor> {
  const start = cursor.position;
  const message = await readMessage(cursor, parts, end);
  const { name, elementType, shape, location, external, inline } = message;
  const refuse = (problem: string): never => {
    throw new CheckpointFormatError(problem, { file: cursor.file, tensor: name, offset: start });
  };
  const size = shape.reduce((product, d) => product * d, 1);
  if (shape.some((d) => d < 0) || !Number.isSafeInteger(size)) {
    refuse(`its shape is [${shape.join(", ")}], which no tensor has`);
  }
  const values = location === EXTERNAL ? externalValues(external, refuse) : inline;
  return { name, elementType, shape, size, values };
}

async function readMessage(
  cursor: MessageCursor,
  parts: GraphParts,
  end: number,
): Promise<TensorMessage> {
  parts.count();
  const dims: number[] = [];
  const external = new Map<string, string>();
  let name = "", elementType = 0, location = 0;
  let inline: StoredValues | null = null, pieces = 0;
  const values = ({ end }: Field) => {
    inline = { location: null, offset: cursor.position, byteLength: end - cursor.position };
    pieces += 1;
    cursor.skipTo(end);
  };
  await cursor.message(
    end,
    {
      [TENSOR.dim]: () => parts.number(dims),
      [TENSOR.dims]: (field) => parts.numbers(field, dims),
      [TENSOR.elementType]: async () => void (elementType = await cursor.number()),
      [TENSOR.segment]: () => {
        throw new UnsupportedModelError(
          `${cursor.file}: a tensor is stored in segments; Lopper reads whole ones`,
        );
      },
      // Packed floats are the bytes of their values, as raw data is.
      [TENSOR.floats]: values,
      [TENSOR.raw]: values,
      [TENSOR.name]: async (field) => void (name = await cursor.text(field)),
      [TENSOR.external]: async ({ end }) => {
        parts.count();
        const [name, value] = await readEntry(cursor, end);
        external.set(name, value);
      },
      [TENSOR.location]: async () => void (location = await cursor.number()),
    },
  );
  const shape = dims.slice();
  if (pieces !== 1) inline = null;
  return { name, elementType, shape, location, external, inline };
}

async function readEntry(
  cursor: MessageCursor,
  end: number,
): Promise<readonly [string, string]> {
  let name = "", value = "";
  await cursor.message(
    end,
    {
      [ENTRY.key]: async (field) => void (name = await cursor.text(field)),
      [ENTRY.value]: async (field) => void (value = await cursor.text(field)),
    },
  );
  return [name, value];
}

/** Where values lie in a file beside this one. */
function externalValues(
  external: ReadonlyMap<string, string>,
  refuse: (problem: string) => never,
): StoredValues {
  const whole = (key: string): number | undefined => {
    const text = external.get(key);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
    return refuse(`the ${key} of its external data is ${JSON.stringify(text)}`);
  };
  const location = external.get("location") ?? refuse("its external data has no location");
  return { location, offset: whole("offset") ?? 0, byteLength: whole("length") };
}
