import { type DType, DTYPE_BYTES, isDType } from "@lopper/core";
import { MemorySink } from "../byte_sink.ts";
import { MemorySource } from "../byte_source.ts";
import { MemoryFolder } from "../listed_folder.ts";
import { readSafetensorsHeader } from "./header.ts";
import { openTensorStore } from "./tensor_store.ts";
import { planShards, type TensorEntry, writeSafetensors } from "./writer.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

const DTYPES = Object.keys(DTYPE_BYTES).filter(isDType);

/**
 * Tensors of random dtypes, shapes and bytes, scalars and empty ones among them, with any names.
 */
const entries = fc.uniqueArray(
  fc.tuple(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 8 }),
      fc.constantFrom("__proto__", "7", '"', "constructor"),
    ).filter((name) => name !== "__metadata__" && name.isWellFormed()),
    fc.constantFrom(...DTYPES),
    fc.array(fc.nat(4), { maxLength: 3 }),
    fc.integer(),
  ),
  { selector: ([name]) => name, maxLength: 8 },
).map((list) => list.map(([name, dtype, shape, seed]) => tensor(name, dtype, shape, seed)));

function tensor(name: string, dtype: DType, shape: readonly number[], seed = 1): TensorEntry {
  const n = shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype]);
  const bytes = Uint8Array.from({ length: n }, (_, i) => (i + seed) * 167);
  return { name, dtype, shape, data: () => Promise.resolve(bytes) };
}

async function written(list: readonly TensorEntry[], metadata?: Record<string, string>) {
  const sink = new MemorySink();
  await writeSafetensors(sink, list, metadata);
  await sink.commit();
  return sink.bytes;
}

Deno.test("safetensors writer: every dtype and shape comes back, in one file or in many", async () => {
  let sharded = 0;
  await fc.assert(
    fc.asyncProperty(entries, fc.constantFrom(1, 50, undefined), async (list, maxShardBytes) => {
      const { shards, indexJson } = planShards(list, maxShardBytes);
      const files: Record<string, Uint8Array | string> = {};
      for (const shard of shards) files[shard.file] = await written(shard.entries);
      if (indexJson !== undefined) files["model.safetensors.index.json"] = indexJson;
      sharded += shards.length > 1 ? 1 : 0;
      const store = await openTensorStore(new MemoryFolder("m", files));
      assert.equal(store.tensors.size, list.length);
      for (const { name, dtype, shape, data } of list) {
        const info = store.tensors.get(name);
        assert.deepEqual([info?.dtype, info?.shape], [dtype, shape]);
        assert.deepEqual(await store.readBytes(name), await data());
      }
    }),
    { numRuns: 300, seed: 5 },
  );
  assert.ok(sharded > 50);
});

Deno.test("safetensors writer: shards fill up to the limit, and the index names each tensor's", () => {
  const list = [10, 20, 70, 200, 1].map((n, i) => tensor(`t${i}`, "U8", [n]));
  const { shards, indexJson } = planShards(list, 100);
  assert.deepEqual(shards.map(({ file, entries }) => [file, ...entries.map((e) => e.name)]), [
    ["model-00001-of-00003.safetensors", "t0", "t1", "t2"],
    ["model-00002-of-00003.safetensors", "t3"],
    ["model-00003-of-00003.safetensors", "t4"],
  ]);
  assert.deepEqual(JSON.parse(indexJson!), {
    metadata: { total_size: 301 },
    weight_map: {
      t0: "model-00001-of-00003.safetensors",
      t1: "model-00001-of-00003.safetensors",
      t2: "model-00001-of-00003.safetensors",
      t3: "model-00002-of-00003.safetensors",
      t4: "model-00003-of-00003.safetensors",
    },
  });
  assert.deepEqual(planShards(list, 301), {
    shards: [{ file: "model.safetensors", entries: list }],
    indexJson: undefined,
  });
});

Deno.test("safetensors writer: data begins on a multiple of 8 bytes; metadata says format pt", async () => {
  for (let length = 1; length <= 9; length++) {
    const file = await written([tensor("n".repeat(length), "F64", [1])]);
    const { dataStart, metadata } = await readSafetensorsHeader(new MemorySource("f", file));
    assert.equal(dataStart % 8, 0);
    assert.deepEqual([...metadata], [["format", "pt"]]);
  }
  const file = await written([], { a: "ü" });
  const { metadata, tensors } = await readSafetensorsHeader(new MemorySource("f", file));
  assert.deepEqual([...metadata], [["a", "ü"]]);
  assert.equal(tensors.size, 0);
});

Deno.test("safetensors writer: data of another length than the shape promises is refused", async () => {
  for (const length of [0, 7, 9]) {
    const wrong: TensorEntry = {
      ...tensor("w", "F32", [2]),
      data: () => Promise.resolve(new Uint8Array(length)),
    };
    await assert.rejects(written([wrong]), (error) => {
      assert.ok(error instanceof TypeError);
      assert.equal(error.message, `tensor w gave ${length} bytes instead of 8`);
      return true;
    });
  }
});

Deno.test("safetensors writer: asks for the data of one tensor at a time, in order", async () => {
  const events: string[] = [];
  const list = ["a", "b", "c"].map((name): TensorEntry => ({
    ...tensor(name, "U8", [3]),
    data: () => {
      events.push(`ask ${name}`);
      return Promise.resolve(new Uint8Array(3));
    },
  }));
  const sink = new MemorySink();
  const write = sink.write.bind(sink);
  sink.write = (bytes) => {
    events.push(bytes.byteLength === 3 ? "write" : "header");
    return write(bytes);
  };
  await writeSafetensors(sink, list);
  assert.deepEqual(events, ["header", "ask a", "write", "ask b", "write", "ask c", "write"]);
});
