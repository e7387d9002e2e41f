import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { MemorySource } from "../byte_source.ts";
import { GraphParts } from "./graph_parts.ts";
import { MessageCursor } from "./message_cursor.ts";
import { readTensor } from "./read_tensor.ts";
import assert from "node:assert/strict";

/** The tensor of a message: the bytes of its fields, one after the other. */
function tensor(...fields: readonly (readonly number[])[]) {
  const bytes = Uint8Array.from(fields.flat());
  const cursor = new MessageCursor(new MemorySource("m", bytes));
  return readTensor(cursor, new GraphParts(cursor, bytes.length), bytes.length);
}

const text = (value: string) => [...new TextEncoder().encode(value)];
/** A field of bytes, by its number. */
const bytes = (number: number, values: readonly number[]) => [
  number * 8 + 2,
  values.length,
  ...values,
];
const dim = (size: number) => [8, size];
const name = bytes(8, text("w"));
const float32 = [16, 1];
const raw = (...values: number[]) => bytes(9, values);
const external = [112, 1];
const entry = (key: string, value: string) =>
  bytes(13, [...bytes(1, text(key)), ...bytes(2, text(value))]);

Deno.test("ONNX tensor: its values lie in the file in one piece, or one by one as numbers", async () => {
  const found = await tensor(name, dim(2), dim(1), float32, raw(1, 2, 3));
  const offset = name.length + 2 * dim(0).length + float32.length + 2;
  assert.deepEqual(found, {
    name: "w",
    elementType: 1,
    shape: [2, 1],
    size: 2,
    values: { location: null, offset, byteLength: 3 },
  });
  assert.equal((await tensor(name, dim(2))).values, null);
  assert.equal((await tensor(name, raw(1), raw(2))).values, null, "no piece is the whole");
  const packed = await tensor(name, bytes(1, [3, 4]), bytes(4, [0, 0, 0, 0]));
  assert.deepEqual([packed.shape, packed.size, packed.values?.byteLength], [[3, 4], 12, 4]);
});

Deno.test("ONNX tensor: values in a file beside it have its name and whole numbers, if any", async () => {
  const place = entry("location", "w.bin");
  assert.deepEqual(
    (await tensor(name, external, place, entry("offset", "16"), entry("length", "8"))).values,
    { location: "w.bin", offset: 16, byteLength: 8 },
  );
  assert.deepEqual(
    (await tensor(name, external, place)).values,
    { location: "w.bin", offset: 0, byteLength: undefined },
  );
  const refuses = (problem: RegExp, ...fields: readonly (readonly number[])[]) =>
    assert.rejects(
      tensor(name, ...fields),
      (error) => error instanceof CheckpointFormatError && problem.test(error.message),
    );
  await refuses(/its external data has no location/, external);
  for (const odd of ["-1", "1.5", "", "99999999999999999"]) {
    await refuses(/the offset of its external data is "/, external, place, entry("offset", odd));
  }
});

Deno.test("ONNX tensor: a shape that no tensor has is refused, and values in segments", async () => {
  const minusOne = [8, ...new Array<number>(9).fill(0xff), 1];
  const large = [8, 0xff, 0xff, 0xff, 0xff, 0x0f];
  for (const dims of [[minusOne], [large, large]]) {
    await assert.rejects(
      tensor(name, ...dims),
      (error) =>
        error instanceof CheckpointFormatError && /m, .*which no tensor has/.test(error.message),
    );
  }
  await assert.rejects(
    tensor(name, bytes(3, [])),
    (error) => error instanceof UnsupportedModelError && /m: .* segments/.test(error.message),
  );
});
