import { CheckpointFormatError } from "@lopper/core";
import { MemorySource } from "../byte_source.ts";
import { entry, safetensorsFile } from "../testing/safetensors_file.ts";
import { readSafetensorsHeader } from "./header.ts";
import assert from "node:assert/strict";

const read = (file: Uint8Array) => readSafetensorsHeader(new MemorySource("m.safetensors", file));
const bytes = (n: number) => new Uint8Array(n);
const header = (json: unknown) => JSON.stringify(json);

/** What is wrong, the file, and what the message must say. */
const BROKEN: readonly [what: string, file: Uint8Array, message: RegExp][] = [
  ["an empty file", bytes(0), /has 0 bytes and a safetensors file needs at least 10/],
  ["a file of 9 bytes", bytes(9), /has 9 bytes and a safetensors file needs at least 10/],
  [
    "a length of 2^64 - 1",
    safetensorsFile("{}", bytes(0), (1n << 64n) - 1n),
    /is to have 18446744073709552000 bytes; it needs 2 to 100000000/,
  ],
  [
    "a length one byte beyond the file",
    safetensorsFile("{}", bytes(0), 3n),
    /is to have 3 bytes and the file ends at byte 10/,
  ],
  ["a length of 0", safetensorsFile("", bytes(8)), /the header is to have 0 bytes/],
  [
    "a length beyond the file",
    safetensorsFile("{}", bytes(0), 90_000_000n),
    /is to have 90000000 bytes and the file ends at byte 10/,
  ],
  [
    "a length beyond the limit",
    safetensorsFile("{}", bytes(0), 1n << 60n),
    /it needs 2 to 100000000/,
  ],
  ["no object", safetensorsFile("[1, 2]"), /does not begin with "\{"/],
  ["a space before the object", safetensorsFile(' {"a":1}'), /does not begin with "\{"/],
  ["text after the object", safetensorsFile("{} {}"), /not JSON/],
  ["metadata twice", safetensorsFile('{"__metadata__":{},"__metadata__":{}}'), /names it twice/],
  [
    "a name twice, one of them after an entry with text that looks like a key",
    safetensorsFile('{"a":{"x":"\\"}: {"},"b":{},"b" \n\t: {}}'),
    /tensor "b".*names it twice/,
  ],
  ["an entry that is a list", safetensorsFile(header({ a: [] })), /tensor "a".*no object/],
  ["an entry that is null", safetensorsFile(header({ a: null })), /tensor "a".*no object/],
  [
    "a dtype of the object's own",
    safetensorsFile(header({ a: entry("constructor", [], 0, 0) })),
    /tensor "a".*dtype is "constructor"; known are F64 F32/,
  ],
  [
    "a size past 2^53",
    safetensorsFile('{"a":{"dtype":"U8","shape":[9007199254740993,0],"data_offsets":[0,0]}}'),
    /tensor "a".*whole numbers/,
  ],
  [
    "a size of 1e999",
    safetensorsFile('{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,0]}}'),
    /tensor "a".*whole numbers/,
  ],
  ["no shape", safetensorsFile('{"a":{"dtype":"U8","data_offsets":[0,0]}}'), /its shape needs/],
  [
    "no offsets",
    safetensorsFile('{"a":{"dtype":"U8","shape":[0]}}'),
    /data_offsets need to be two/,
  ],
  [
    "three offsets",
    safetensorsFile('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}'),
    /tensor "a".*data_offsets need to be two whole numbers/,
  ],
  [
    "negative offsets",
    safetensorsFile(header({ a: entry("U8", [1], -1, 0) }), bytes(4)),
    /tensor "a".*data_offsets need to be two whole numbers/,
  ],
  [
    "a hole before the first tensor",
    safetensorsFile(header({ a: entry("U8", [2], 2, 4) }), bytes(4)),
    /tensor "a", byte \d+: 2 bytes before it belong to no tensor/,
  ],
  [
    "two tensors of the same bytes",
    safetensorsFile(header({ a: entry("U8", [4], 0, 4), b: entry("U8", [4], 0, 4) }), bytes(4)),
    /tensor "b".*its data overlaps the tensor before it, which ends at byte/,
  ],
  [
    "an empty tensor within another",
    safetensorsFile(header({ a: entry("U8", [4], 0, 4), b: entry("U8", [0], 2, 2) }), bytes(4)),
    /tensor "b".*its data overlaps/,
  ],
  [
    "data of no tensor",
    safetensorsFile("{}", bytes(3)),
    /byte 10: 3 bytes at the end belong to no/,
  ],
  ["metadata that is a list", safetensorsFile('{"__metadata__":[]}'), /needs to be an object of/],
  ["metadata that is null", safetensorsFile('{"__metadata__":null}'), /needs to be an object of/],
  ["no JSON", safetensorsFile('{"a": }'), /not JSON/],
  ["no UTF-8", safetensorsFile(new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), /not UTF-8/],
  ["nesting without end", safetensorsFile('{"a":' + "[".repeat(100_000)), /not JSON/],
  [
    "a name twice",
    safetensorsFile('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'),
    /tensor "a".*names it twice/,
  ],
  ["an entry that is no object", safetensorsFile(header({ a: 3 })), /tensor "a".*no object/],
  [
    "an unknown dtype",
    safetensorsFile(header({ a: entry("F8", [0], 0, 0) })),
    /tensor "a".*dtype is "F8"/,
  ],
  [
    "a negative size",
    safetensorsFile(header({ a: entry("F32", [-1], 0, 0) })),
    /tensor "a".*whole numbers/,
  ],
  [
    "a fractional size",
    safetensorsFile(header({ a: entry("F32", [1.5], 0, 6) }), bytes(6)),
    /tensor "a".*whole numbers/,
  ],
  [
    "a product past all bounds",
    safetensorsFile(header({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 8) }), bytes(8)),
    /tensor "a".*needs .* bytes and its data_offsets hold 8/,
  ],
  [
    "offsets in reverse",
    safetensorsFile(header({ a: entry("U8", [4], 4, 0) }), bytes(4)),
    /tensor "a".*data_offsets are 4 to 0/,
  ],
  [
    "offsets out of range",
    safetensorsFile(header({ a: entry("U8", [9], 0, 9) }), bytes(4)),
    /tensor "a".*0 to 9 and the file has 4 bytes of data/,
  ],
  [
    "a shape that needs more",
    safetensorsFile(header({ a: entry("F32", [2], 0, 4) }), bytes(4)),
    /tensor "a".*\[2\] of F32 needs 8 bytes and its data_offsets hold 4/,
  ],
  [
    "an overlap",
    safetensorsFile(header({ a: entry("U8", [4], 0, 4), b: entry("U8", [4], 2, 6) }), bytes(6)),
    /tensor "b", byte \d+: its data overlaps/,
  ],
  [
    "a gap",
    safetensorsFile(header({ a: entry("U8", [2], 0, 2), b: entry("U8", [2], 4, 6) }), bytes(6)),
    /tensor "b".*2 bytes before it belong to no tensor/,
  ],
  [
    "bytes at the end",
    safetensorsFile(header({ a: entry("U8", [2], 0, 2) }), bytes(5)),
    /3 bytes at the end belong to no tensor/,
  ],
  [
    "metadata that is no text",
    safetensorsFile(header({ __metadata__: { a: 1 } })),
    /__metadata__\.a/,
  ],
];

for (const [what, file, message] of BROKEN) {
  Deno.test(`safetensors header: ${what} is named`, async () => {
    await assert.rejects(read(file), (error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.equal(error.location.file, "m.safetensors");
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("safetensors header: a valid one gives every tensor, whatever its name", async () => {
  const json =
    `{"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},` +
    `"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]},` +
    `"none":{"dtype":"I64","shape":[0,7],"data_offsets":[16,16]}}   `;
  const { tensors, metadata, dataStart } = await read(safetensorsFile(json, bytes(16)));
  assert.equal(metadata.get("format"), "pt");
  assert.equal(dataStart, 8 + json.length);
  assert.deepEqual([...tensors.keys()].sort(), ["__proto__", "none", "w"]);
  assert.deepEqual(tensors.get("w"), {
    name: "w",
    dtype: "F16",
    shape: [2, 3],
    file: "m.safetensors",
    offset: dataStart + 4,
    byteLength: 12,
  });
  assert.deepEqual(tensors.get("__proto__")?.shape, []);
});

Deno.test("safetensors header: a file without tensors is valid", async () => {
  assert.equal((await read(safetensorsFile("{}"))).tensors.size, 0);
});

Deno.test("safetensors header: the order of the entries need not be that of the data", async () => {
  const json = header({
    b: entry("U8", [3], 2, 5),
    none: entry("F32", [0], 2, 2),
    a: entry("U8", [2], 0, 2),
  });
  const { tensors } = await read(safetensorsFile(json, bytes(5)));
  assert.deepEqual([...tensors.keys()], ["b", "none", "a"]);
});

Deno.test("safetensors header: every whole file cut short anywhere is refused", async () => {
  const whole = safetensorsFile(header({ a: entry("F32", [2], 0, 8) }), bytes(8));
  await read(whole);
  for (let n = 0; n < whole.byteLength; n++) {
    await assert.rejects(
      read(whole.subarray(0, n)),
      (error) => error instanceof CheckpointFormatError,
      `cut after ${n} bytes`,
    );
  }
});

Deno.test("safetensors header: a keys' spelling in another tensor's entry is no name twice", async () => {
  const json = `{"a":{"a":1,"dtype":"U8","shape":[0],"data_offsets":[0,0]},"dtype":${
    header(entry("U8", [0], 0, 0))
  }}`;
  assert.deepEqual([...(await read(safetensorsFile(json))).tensors.keys()], ["a", "dtype"]);
});
