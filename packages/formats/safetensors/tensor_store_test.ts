import { CheckpointFormatError, type DType, DTYPE_BYTES } from "@lopper/core";
import { MemorySink } from "../byte_sink.ts";
import type { ByteSource } from "../byte_source.ts";
import { isHalf } from "../dtypes.ts";
import { MemoryFolder } from "../listed_folder.ts";
import { openTensorStore } from "./tensor_store.ts";
import { planShards, type TensorEntry, writeSafetensors } from "./writer.ts";
import assert from "node:assert/strict";

function tensor(name: string, dtype: DType, shape: number[], fill = 7): TensorEntry {
  const n = shape.reduce((a, b) => a * b, 1) * DTYPE_BYTES[dtype];
  return { name, dtype, shape, data: () => Promise.resolve(new Uint8Array(n).fill(fill)) };
}

async function file(entries: readonly TensorEntry[]): Promise<Uint8Array> {
  const sink = new MemorySink();
  await writeSafetensors(sink, entries);
  await sink.commit();
  return sink.bytes;
}

async function sharded(entries: readonly TensorEntry[], maxShardBytes: number) {
  const { shards, indexJson } = planShards(entries, maxShardBytes);
  const files: Record<string, Uint8Array | string> = {};
  for (const shard of shards) files[shard.file] = await file(shard.entries);
  if (indexJson !== undefined) files["model.safetensors.index.json"] = indexJson;
  return files;
}

const index = (weight_map: Record<string, string>) => ({
  "model.safetensors.index.json": JSON.stringify({ metadata: { total_size: 1 }, weight_map }),
});

Deno.test("safetensors: what is written is read, in every dtype, in one file or in shards", async () => {
  const entries = (Object.keys(DTYPE_BYTES) as DType[]).map((dtype, i) =>
    tensor(`t.${dtype}`, dtype, [i, 2], i + 1)
  );
  for (const maxShardBytes of [1e9, 40, 1]) {
    const files = await sharded(entries, maxShardBytes);
    assert.equal(Object.keys(files).length > 1, maxShardBytes < 1e9);
    const store = await openTensorStore(new MemoryFolder("m", files));
    assert.deepEqual([...store.tensors.keys()].sort(), entries.map((e) => e.name).sort());
    for (const { name, dtype, shape, data } of entries) {
      const info = store.tensors.get(name)!;
      assert.equal(info.dtype, dtype);
      assert.deepEqual(info.shape, shape);
      assert.deepEqual(await store.readBytes(name), await data());
    }
  }
});

Deno.test("safetensors: data begins on a multiple of 8 bytes", async () => {
  for (const name of ["a", "ab", "abc", "abcd", "abcde"]) {
    const bytes = await file([tensor(name, "F32", [1])]);
    assert.equal(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8, 0);
  }
});

Deno.test("safetensors: data of the wrong length is not written", async () => {
  const wrong = { ...tensor("a", "F32", [2]), data: () => Promise.resolve(new Uint8Array(4)) };
  await assert.rejects(writeSafetensors(new MemorySink(), [wrong]), /a gave 4 bytes instead of 8/);
});

/** Opening fails, and the message says so. */
async function refused(
  files: Record<string, Uint8Array | string>,
  message: RegExp,
) {
  await assert.rejects(openTensorStore(new MemoryFolder("m", files)), (error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("safetensors: an index cannot lead out of the folder", async () => {
  for (const path of ["../secret", "/etc/passwd", "a/b.safetensors", "C:\\x", "..", "a\0b"]) {
    await refused(index({ t: path }), /cannot leave the model's folder/);
  }
});

Deno.test("safetensors: missing shards are all named", async () => {
  const b = await file([tensor("b", "F32", [1])]);
  await refused(
    {
      ...index({ a: "1.safetensors", b: "2.safetensors", c: "3.safetensors" }),
      "2.safetensors": b,
    },
    /2 of 3 shards are missing: 1\.safetensors, 3\.safetensors/,
  );
});

Deno.test("safetensors: index and shards must agree", async () => {
  const a = await file([tensor("a", "F32", [1])]);
  const ab = await file([tensor("a", "F32", [1]), tensor("b", "F32", [1])]);
  await refused(
    { ...index({ a: "1.safetensors", x: "1.safetensors" }), "1.safetensors": a },
    /tensor "x": the index promises this tensor/,
  );
  await refused(
    { ...index({ a: "1.safetensors" }), "1.safetensors": ab },
    /tensor "b".*does not list this tensor/,
  );
  await refused(
    {
      ...index({ a: "1.safetensors", b: "2.safetensors" }),
      "1.safetensors": a,
      "2.safetensors": ab,
    },
    /2\.safetensors, tensor "a".*is in m\/1\.safetensors, too/,
  );
});

Deno.test("safetensors: an index that is no index is named", async () => {
  await refused({ "model.safetensors.index.json": "{" }, /index\.json: not JSON/);
  await refused({ "model.safetensors.index.json": '{"weight_map": 3}' }, /index\.json: weight_map/);
});

Deno.test("safetensors: a folder without weights is named", async () => {
  await refused({ "readme.md": "" }, /neither model\.safetensors nor/);
});

Deno.test("safetensors: NaN and infinite weights are named with their place", async () => {
  const poisoned: [DType, number[]][] = [
    ["F32", [0, 0, 0xc0, 0x7f]],
    ["F16", [0x00, 0x7c]],
    ["F16", [0x01, 0xfe]],
    ["BF16", [0x80, 0xff]],
    ["BF16", [0xc0, 0x7f]],
    ["F64", [0, 0, 0, 0, 0, 0, 0xf0, 0x7f]],
  ];
  for (const [dtype, bad] of poisoned) {
    const data = new Uint8Array(3 * bad.length);
    data.set(bad, 2 * bad.length);
    const bytes = await file([{ name: "w", dtype, shape: [3], data: () => Promise.resolve(data) }]);
    const store = await openTensorStore(new MemoryFolder("m", { "model.safetensors": bytes }));
    const offset = store.tensors.get("w")!.offset + 2 * bad.length;
    const refusal = (error: unknown) => {
      assert.ok(error instanceof CheckpointFormatError);
      assert.equal(error.location.offset, offset);
      assert.match(error.message, /tensor "w".*value 2 is (NaN|-?Infinity);.*finite numbers/);
      return true;
    };
    await assert.rejects(store.readFloat32("w"), refusal);
    if (isHalf(dtype)) await assert.rejects(store.readHalves("w"), refusal);
  }
});

Deno.test("safetensors: halves are read as they are, aligned or not, and other dtypes are not", async () => {
  const bits = Uint16Array.of(0x3c00, 0x8001, 0x7bff);
  const entries = [
    tensor("odd", "U8", [1]),
    ...(["F16", "BF16"] as const).map((dtype): TensorEntry => ({
      name: dtype,
      dtype,
      shape: [3],
      data: () => Promise.resolve(new Uint8Array(bits.buffer)),
    })),
  ];
  const bytes = await file(entries);
  const store = await openTensorStore(new MemoryFolder("m", { "model.safetensors": bytes }));
  for (const dtype of ["F16", "BF16"]) {
    assert.equal(store.tensors.get(dtype)!.offset % 2, 1);
    assert.deepEqual(await store.readHalves(dtype), bits);
  }
  await assert.rejects(store.readHalves("odd"), /tensor odd is U8, not F16 or BF16/);
});

Deno.test("safetensors: opening reads headers only", async () => {
  const bytes = await file([tensor("a", "F32", [1000, 100])]);
  const folder = new MemoryFolder("m", { "model.safetensors": bytes });
  let read = 0;
  const counting = {
    ...folder,
    name: folder.name,
    list: () => folder.list(),
    has: (name: string) => folder.has(name),
    folder: (name: string) => folder.folder(name),
    readBytes: (name: string, limit: number) => folder.readBytes(name, limit),
    async open(name: string): Promise<ByteSource> {
      const source = await folder.open(name);
      return {
        name: source.name,
        size: source.size,
        close: () => source.close(),
        read: (offset, length) => {
          read += length;
          return source.read(offset, length);
        },
      };
    },
  };
  const store = await openTensorStore(counting);
  assert.ok(read < 300, `${read} bytes were read`);
  assert.equal((await store.readBytes("a", 400, 8)).byteLength, 8);
  assert.ok(read < 310);
});
