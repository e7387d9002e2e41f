import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { MemorySource } from "../byte_source.ts";
import { type Entry, type FileParts, type FileTensor, ggufFile } from "../testing/gguf_file.ts";
import { readGgufHeader } from "./header.ts";
import assert from "node:assert/strict";

const read = (parts: FileParts | Uint8Array) =>
  readGgufHeader(new MemorySource("m.gguf", parts instanceof Uint8Array ? parts : ggufFile(parts)));

const tensor = (name: string, change: Partial<FileTensor> = {}): FileTensor => ({
  name,
  dims: [32, 2],
  type: 8, // Q8_0
  data: new Uint8Array(68),
  ...change,
});

async function refuses(
  parts: FileParts | Uint8Array,
  message: RegExp,
  kind: unknown = CheckpointFormatError,
) {
  await assert.rejects(read(parts), (error) => {
    assert.ok(error instanceof (kind as typeof Error), String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^m\.gguf/);
    return true;
  });
}

Deno.test("GGUF header: metadata of every type, and tensors with shapes the other way round", async () => {
  const entries: Entry[] = [
    ["a.u8", "uint8", 200],
    ["a.i8", "int8", -7],
    ["a.i16", "int16", -300],
    ["a.f32", "float32", 0.5],
    ["a.f64", "float64", 1e-300],
    ["a.flag", "bool", true],
    ["a.text", "string", "ü🙂"],
    ["a.u64", "uint64", 2n ** 53n - 1n],
    ["a.huge", "uint64", 2n ** 64n - 1n],
    ["a.i64", "int64", -5n],
    ["a.texts", "array", "string", ["", "b", "▁c"]],
    ["a.numbers", "array", "int32", [1, -2, 3]],
    ["a.none", "array", "float32", []],
  ];
  const tensors = [tensor("x"), tensor("y", { dims: [5], type: 0, data: new Uint8Array(20) })];
  for (const version of [2, 3]) {
    const header = await read({ version, entries, tensors });
    const { metadata } = header;
    assert.deepEqual(metadata.keys(), entries.map(([key]) => key));
    const numbers = ["a.u8", "a.i8", "a.i16", "a.f32", "a.f64", "a.u64", "a.i64"];
    assert.deepEqual(numbers.map((key) => metadata.number(key)), [
      ...[200, -7, -300, 0.5, 1e-300, 2 ** 53 - 1, -5],
    ]);
    assert.equal(metadata.flag("a.flag"), true);
    assert.equal(await metadata.text("a.text"), "ü🙂");
    assert.deepEqual(await metadata.texts("a.texts"), ["", "b", "▁c"]);
    assert.deepEqual(await metadata.numbers("a.numbers"), [1, -2, 3]);
    assert.deepEqual(await metadata.numbers("a.none"), []);
    assert.equal(metadata.number("absent"), undefined);
    assert.throws(() => metadata.number("a.huge"), /a\.huge: its type is uint64/);
    assert.throws(
      () => metadata.number("a.text"),
      /its type is string and it needs to be a number/,
    );
    assert.throws(() => metadata.count("a.i8"), /it is -7/);
    assert.throws(() => metadata.flag("a.u8"), /true or false/);
    await assert.rejects(metadata.texts("a.numbers"), /array of int32/);
    await assert.rejects(metadata.numbers("a.texts"), /array of string/);
    const { offset, ...x } = header.tensors.get("x")!;
    assert.deepEqual([x.shape, x.type.name, x.byteLength], [[2, 32], "Q8_0", 68]);
    assert.equal(offset % 32, 0);
    assert.deepEqual(header.tensors.get("y")!.offset, offset + 96);
  }
});

Deno.test("GGUF header: other versions and byte orders are named", async () => {
  await refuses({ magic: "GGML" }, /does not begin with "GGUF"/);
  await refuses({ version: 1 }, /of version 1; Lopper reads/, UnsupportedModelError);
  await refuses({ version: 0x0300_0000 }, /is big-endian/, UnsupportedModelError);
  await refuses(new Uint8Array(10), /the start of a GGUF file takes 24 bytes/);
});

Deno.test("GGUF header: promises are compared with the file before anything is read", async () => {
  await refuses({ tensorCount: 65_537n }, /the number of tensors is 65537/);
  await refuses({ entryCount: 4097n }, /the number of metadata entries is 4097/);
  await refuses({ tensorCount: 2n ** 64n - 1n }, /the number of tensors is 1844/);
  // the file ends where the tensors should begin
  await refuses({ tensorCount: 9n }, /takes 8 bytes and the file ends|a tensor/);
  const list = ggufFile({ entries: [["a", "array", "uint64", []]] });
  new DataView(list.buffer).setBigUint64(24 + 8 + 1 + 8, 2n ** 40n, true);
  await refuses(list, /a metadata list takes \d+ bytes and the file ends/);
  const texts = ggufFile({ entries: [["a", "array", "string", []]] });
  new DataView(texts.buffer).setBigUint64(24 + 8 + 1 + 8, 2n ** 40n, true);
  await refuses(texts, /a metadata text takes 8 bytes and the file ends/);
  const text = ggufFile({ entries: [["a", "string", ""]] });
  new DataView(text.buffer).setBigUint64(24 + 8 + 1 + 4, 2n ** 63n, true);
  await refuses(text, /the length of a metadata text is 9223372036854775808/);
  const key = ggufFile({ entries: [["a", "uint8", 1]] });
  new DataView(key.buffer).setBigUint64(24, 70_000n, true);
  await refuses(key, /a metadata key has 70000 bytes/);
});

Deno.test("GGUF header: names that repeat, lists of lists, unknown types and broken texts are refused", async () => {
  await refuses({ entries: [["a", "uint8", 1], ["a", "uint8", 1]] }, /the key "a" twice/);
  await refuses({ tensors: [tensor("x"), tensor("x")] }, /tensor "x".*names it twice/);
  const nested = ggufFile({ entries: [["a", "array", "uint8", []]] });
  nested[24 + 8 + 1 + 4] = 9;
  await refuses(nested, /holds lists/);
  const unknown = ggufFile({ entries: [["a", "uint8", 1]] });
  unknown[24 + 8 + 1] = 13;
  await refuses(unknown, /a metadata type is unknown/);
  await refuses({ entries: [[new Uint8Array([0xff]) as unknown as string, "uint8", 1]] }, /UTF-8/);
  const { metadata } = await read({ entries: [["a", "string", new Uint8Array([0xc3])]] });
  await assert.rejects(metadata.text("a"), /byte \d+: not UTF-8/);
});

Deno.test("GGUF header: tensors that cannot be, by name", async () => {
  const refusesTensor = (change: Partial<FileTensor>, message: RegExp, kind?: unknown) =>
    refuses({ tensors: [tensor("x", change)] }, message, kind);
  await refusesTensor(
    { type: 34 },
    /tensor "x": its type is TQ1_0; Lopper reads F32/,
    UnsupportedModelError,
  );
  await refusesTensor({ type: 99 }, /its type is number 99/, UnsupportedModelError);
  await refusesTensor({ dims: [] }, /it has 0 dimensions/);
  await refusesTensor({ dims: [32, 1, 1, 1, 1] }, /it has 5 dimensions/);
  await refusesTensor({ dims: [31, 2] }, /rows have 31 values and Q8_0 needs a multiple of 32/);
  await refusesTensor({ dims: [32, 0] }, /its shape is \[0, 32\]/);
  await refusesTensor({ dims: [2n ** 40n, 2n ** 40n] }, /which no tensor has/);
  await refusesTensor({ dims: [32, 4] }, /its data ends at byte \d+ and the file has \d+ bytes/);
  await refusesTensor({ offset: 8 }, /begin on a multiple of 32/);
  await refusesTensor({ offset: 32 }, /32 bytes before it belong to no tensor/);
  await refusesTensor({ offset: 2n ** 53n - 32n }, /bytes before it belong to no tensor|is 900/);
  await refusesTensor({ name: "x".repeat(65) }, /a tensor's name has 65 bytes/);
  await refuses({ tensors: [tensor("x"), tensor("y", { offset: 64 })] }, /"y".*overlaps what ends/);
});

Deno.test("GGUF header: general.alignment is followed, and bounded", async () => {
  const aligned = (alignment: number): FileParts => ({
    alignment: Math.max(1, alignment),
    entries: [["general.alignment", "uint32", alignment]],
    tensors: [tensor("x"), tensor("y")],
  });
  for (const alignment of [8, 64]) {
    const { tensors } = await read(aligned(alignment));
    assert.equal(tensors.get("y")!.offset - tensors.get("x")!.offset, alignment === 8 ? 72 : 128);
  }
  for (const alignment of [0, 4, 24, 2 ** 22]) {
    await refuses(
      aligned(alignment),
      /general\.alignment: it is \d+ and needs to be a power of two/,
    );
  }
});
