import { CheckpointFormatError } from "@lopper/core";
import { MemorySource } from "../byte_source.ts";
import { BYTES, FIXED32, type Handlers, key, MessageCursor, VARINT } from "./message_cursor.ts";
import { readOnnxGraph } from "./read_graph.ts";
import assert from "node:assert/strict";

const cursor = (...bytes: number[]) =>
  new MessageCursor(new MemorySource("m", Uint8Array.from(bytes)));

async function numbers(...bytes: number[]): Promise<readonly number[]> {
  const found: number[] = [];
  const at = cursor(...bytes);
  const handlers: Handlers = { [key(1, VARINT)]: async () => void found.push(await at.number()) };
  await at.message(bytes.length, handlers);
  return found;
}

async function refuses(reading: Promise<unknown>, message: RegExp) {
  await assert.rejects(reading, (error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("message cursor: numbers of one to ten bytes, negative ones included", async () => {
  const ones = (n: number) => new Array<number>(n).fill(0xff);
  assert.deepEqual(await numbers(8, 0, 8, 1, 8, 0x7f, 8, 0x80, 1), [0, 1, 127, 128]);
  assert.deepEqual(await numbers(8, ...ones(6), 0x7f), [2 ** 49 - 1]);
  assert.deepEqual(await numbers(8, ...ones(7), 0x7f), [2 ** 56]);
  assert.deepEqual(await numbers(8, ...ones(9), 1), [-1]);
  await refuses(numbers(8, ...ones(10), 1), /m, byte 1: a number has more than 10 bytes/);
  await refuses(numbers(8, 0xff), /cut off by the end of the file/);
  await refuses(numbers(8), /the file ends/);
});

Deno.test("message cursor: what is not asked for is passed over, and nothing reaches beyond its message", async () => {
  // a text, a float32, a float64, a number
  assert.deepEqual(
    await numbers(18, 1, 97, 29, 0, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 40, 3, 8, 5),
    [5],
  );
  await refuses(numbers(18, 3, 97), /a field takes 3 bytes and what it belongs to ends after 1/);
  await refuses(numbers(29, 0, 0), /the file ends/);
  await refuses(numbers(11, 12), /none of protobuf's; this is no ONNX file/);
  const nested = cursor(10, 2, 8, 0x80, 1);
  await refuses(
    nested.message(5, {
      [key(1, BYTES)]: ({ end }) =>
        nested.message(end, { [key(1, VARINT)]: async () => void await nested.number() }),
    }),
    /reaches beyond/,
  );
  const short = cursor(13, 0, 0, 0x80, 0x3f);
  await short.message(5, {
    [key(1, FIXED32)]: async () => assert.equal(await short.float32(), 1),
  });
});

Deno.test("ONNX graph: a second graph in a file is refused, and a name that is no text", async () => {
  const read = (...bytes: number[]) => readOnnxGraph(new MemorySource("m", Uint8Array.from(bytes)));
  assert.equal((await read(58, 0)).nodes.length, 0);
  await refuses(read(58, 0, 58, 0), /the file holds a second graph/);
  await refuses(read(58, 6, 10, 4, 26, 2, 0xc3, 0x28), /m, byte 6: not UTF-8 text/);
  await refuses(read(), /there is no graph in it/);
});
