import type { Field, MessageCursor } from "./message_cursor.ts";

/**
 * Nodes, their inputs, outputs and attributes, initializers and their dimensions: a node with two
 * of them costs 600 bytes. A file may have this many (Llama 405B: 90,000), and one more for every
 * 512 of its bytes.
 */
const FREE_PARTS = 196_608;
const BYTES_PER_PART = 512;

/**
 * Counts the parts of a graph as they are read: a file may not have more than its size gives reason
 * for.
 */
export class GraphParts {
  readonly #cursor: MessageCursor;
  #left: number;

  constructor(cursor: MessageCursor, fileSize: number) {
    this.#cursor = cursor;
    this.#left = FREE_PARTS + Math.floor(fileSize / BYTES_PER_PART);
  }

  /** @throws {CheckpointFormatError} when this is one too many. */
  count() {
    this.#left -= 1;
    if (this.#left < 0) {
      this.#cursor.fail(
        "the graph has more nodes and names than Lopper reads of a file of its size; open the model's safetensors",
      );
    }
  }

  /** Reads a number into a list; it is a part, too. */
  async number(list: number[]) {
    this.count();
    list.push(await this.#cursor.number());
  }

  /** The same with the numbers of a packed field. */
  async numbers({ end }: Field, list: number[]) {
    while (this.#cursor.position < end) await this.number(list);
  }
}
