import { HeaderCursor } from "../header_cursor.ts";
import type { ByteSource } from "../byte_source.ts";

/** How the value of a field is written (protobuf encoding, "Message Structure"). */
export const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

/** The start of a field: its value is what the cursor reads next. */
export interface Field {
  /** Where a value of kind `BYTES` ends in the file; undefined for numbers. */
  readonly end: number;
}

/** What to do with the fields of a message, by `key(number, kind)`; the others are passed over. */
export type Handlers = Readonly<Record<number, (field: Field) => Promise<void> | void>>;

export const key = (number: number, kind: number) => number * 8 + kind;

/** A name that is longer is none: exporters make them of the names of modules. */
const MAX_TEXT_BYTES = 16_384;

/** Walks through the messages of a protobuf file without holding more of it than a window. */
export class MessageCursor {
  /** The name of what is read. */
  readonly file: string;
  readonly #cursor: HeaderCursor;

  constructor(source: ByteSource) {
    this.file = source.name;
    this.#cursor = new HeaderCursor(source);
  }

  get position(): number {
    return this.#cursor.position;
  }

  /** @throws {CheckpointFormatError} at the current position. */
  fail(problem: string, offset?: number): never {
    return this.#cursor.fail(problem, offset);
  }

  /**
   * Reads the message that ends at `end`, field by field.
   * @throws {CheckpointFormatError} when a field reaches beyond it, or is of a kind that there is
   *   none of.
   */
  async message(end: number, handlers: Handlers): Promise<void> {
    const cursor = this.#cursor;
    while (cursor.position < end) {
      const start = cursor.position;
      const tag = await cursor.varint("the tag of a field");
      const kind = tag % 8;
      let fieldEnd = 0;
      if (kind === BYTES) {
        const length = await cursor.varint("the length of a field");
        fieldEnd = cursor.position + length;
        if (!(length >= 0 && fieldEnd <= end)) {
          cursor.fail(
            `a field takes ${length} bytes and what it belongs to ends after ${
              end - cursor.position
            }`,
            start,
          );
        }
      }
      const handle = handlers[tag];
      if (handle) await handle({ end: fieldEnd });
      else if (kind === BYTES) this.skipTo(fieldEnd);
      else if (kind === VARINT) await cursor.varint("a field");
      else if (kind === FIXED32) cursor.skip(4, "a field");
      else if (kind === FIXED64) cursor.skip(8, "a field");
      else cursor.fail(`the tag ${tag} is none of protobuf's; this is no ONNX file`, start);
      if (kind === BYTES && cursor.position !== fieldEnd) {
        cursor.fail("a value reaches beyond its field", start);
      }
    }
    if (cursor.position !== end) cursor.fail("a field reaches beyond what it belongs to", end);
  }

  /** A whole number; beyond 2⁵³ it is rounded. */
  number(): Promise<number> {
    return this.#cursor.varint("a number");
  }

  async float32(): Promise<number> {
    await this.#cursor.need(4, "a number");
    return this.#cursor.scalar(4, (view, at) => view.getFloat32(at, true));
  }

  /** @throws {CheckpointFormatError} when it is not UTF-8, or longer than names are. */
  async text({ end }: Field): Promise<string> {
    const length = end - this.#cursor.position;
    if (length > MAX_TEXT_BYTES) {
      this.fail(`a name has ${length} bytes; at most ${MAX_TEXT_BYTES} are expected`);
    }
    await this.#cursor.need(length, "a name");
    return this.#cursor.text(length);
  }

  skipTo(end: number) {
    this.#cursor.skip(end - this.#cursor.position, "a field");
  }
}
