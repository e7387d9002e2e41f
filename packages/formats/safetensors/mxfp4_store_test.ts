import { CheckpointFormatError } from "@lopper/core";
import { MemorySink } from "../byte_sink.ts";
import { MemoryFolder } from "../listed_folder.ts";
import { Mxfp4Store } from "./mxfp4_store.ts";
import { openTensorStore } from "./tensor_store.ts";
import { writeSafetensors } from "./writer.ts";
import assert from "node:assert/strict";

const CASES = JSON.parse(
  await Deno.readTextFile(
    new URL("../../../tests/fixtures/mxfp4/blocks.json", import.meta.url),
  ),
);
const bytesOf = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const [BLOCKS, SCALES, VALUES] = [CASES.blocks, CASES.scales, CASES.values].map(bytesOf);

interface Stored {
  readonly dtype: "U8" | "BF16";
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

async function storeOf(
  tensors: Readonly<Record<string, Stored>>,
  chunk?: number,
): Promise<Mxfp4Store> {
  const sink = new MemorySink();
  await writeSafetensors(
    sink,
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => ({
      ...{ name, dtype, shape, data: () => Promise.resolve(bytes) },
    })),
  );
  await sink.commit();
  const folder = new MemoryFolder("m", { "model.safetensors": sink.bytes });
  return new Mxfp4Store(await openTensorStore(folder), chunk);
}

const u8 = (shape: readonly number[], bytes: Uint8Array): Stored => ({ dtype: "U8", shape, bytes });
/** Scales of exponents from -127 to 124: what is above may overflow. */
const rows = (count: number) => ({
  w_blocks: u8([2, count / 4, 2, 16], BLOCKS.subarray(0, 16 * count)),
  w_scales: u8([2, count / 4, 2], SCALES.subarray(0, count)),
});

Deno.test("MXFP4: every code under every scale is what transformers makes of it, bit by bit", async () => {
  const store = await storeOf({
    w_blocks: u8([256, 1, 16], BLOCKS),
    w_scales: u8([256, 1], SCALES),
  });
  const found = await store.readBytes("w_blocks");
  assert.equal(found.length, 256 * 64);
  assert.equal(found.findIndex((byte, i) => byte !== VALUES[i]), -1, "the first that differs");
  await assert.rejects(store.readHalves("w_blocks"), (error) => {
    assert.ok(error instanceof CheckpointFormatError);
    assert.match(error.message, /value \d+ is -?Infinity; weights need to be finite/);
    return true;
  });
});

Deno.test("MXFP4: a matrix is one of BF16, any range of it is the same, and others are as they are", async () => {
  const other: Stored = { dtype: "BF16", shape: [3], bytes: new Uint8Array([0, 1, 2, 3, 4, 5]) };
  const store = await storeOf({ ...rows(248), other });
  assert.deepEqual([...store.tensors.keys()].sort(), ["other", "w_blocks"]);
  const info = store.tensors.get("w_blocks")!;
  assert.deepEqual([info.dtype, info.shape, info.byteLength], [
    "BF16",
    [2, 62, 64],
    2 * 62 * 64 * 2,
  ]);
  assert.equal(store.quantisedBytes, 248 * 17);
  const all = await store.readBytes("w_blocks");
  for (const [from, length] of [[0, 2], [62, 4], [64, 64], [130, 1000], [15_000, 872], [7, 3]]) {
    const part = await store.readBytes("w_blocks", from, length);
    assert.deepEqual(part, all.slice(from, from + length), `${from} + ${length}`);
  }
  await assert.rejects(store.readBytes("w_blocks", 15_872, 2), RangeError);
  const piecewise = await (await storeOf(rows(248), 96)).readBytes("w_blocks", 70, 9000);
  assert.deepEqual(piecewise, all.slice(70, 9070));
  const halves = await store.readHalves("w_blocks");
  assert.deepEqual(halves, new Uint16Array(all.slice().buffer));
  const floats = await store.readFloat32("w_blocks");
  assert.equal(floats[130 * 32 + 2], 0.5 * 2 ** (130 - 127));
  assert.deepEqual(await store.readBytes("other"), other.bytes);
});

Deno.test("MXFP4: a value that is none is said of the byte that has it", async () => {
  const bytes = new Uint8Array(32).fill(0x22);
  bytes[19] = 0x72;
  const store = await storeOf({
    w_blocks: u8([2, 1, 16], bytes),
    w_scales: u8([2, 1], new Uint8Array([127, 254])),
  });
  await assert.rejects(store.readFloat32("w_blocks"), (error) => {
    assert.ok(error instanceof CheckpointFormatError);
    assert.match(error.message, /value 39 is Infinity/);
    assert.equal(error.location.offset! - store.tensors.get("w_blocks")!.offset, 19);
    return true;
  });
});

Deno.test("MXFP4: blocks and scales that do not go together are refused by name", async () => {
  const blocks = new Uint8Array(64), scales = new Uint8Array(4);
  const refuses = (tensors: Readonly<Record<string, Stored>>, message: RegExp) =>
    assert.rejects(storeOf(tensors), (error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const w_blocks = u8([2, 2, 16], blocks), w_scales = u8([2, 2], scales);
  await storeOf({ w_blocks, w_scales });
  await refuses({ w_blocks }, /w_blocks.*there is no "w_scales"; MXFP4 needs both/);
  await refuses({ w_scales }, /w_scales.*there is no "w_blocks"; MXFP4 needs both/);
  await refuses(
    { w_blocks, w_scales: u8([4], scales) },
    /its shape is \[2, 2, 16\], and that of w_scales is \[4\]; MXFP4 needs 16 bytes for each/,
  );
  await refuses(
    { w_blocks: u8([2, 4, 8], blocks), w_scales: u8([2, 4], new Uint8Array(8)) },
    /16 b/,
  );
  await refuses({ w_blocks: u8([64], blocks), w_scales: u8([], new Uint8Array(1)) }, /16 bytes/);
  const halves = (stored: Stored): Stored => ({
    ...{ dtype: "BF16", shape: stored.shape, bytes: new Uint8Array(2 * stored.bytes.length) },
  });
  await refuses({ w_blocks: halves(w_blocks), w_scales }, /w_blocks.*its dtype is BF16; .* U8/);
  await refuses({ w_blocks, w_scales: halves(w_scales) }, /w_scales.*its dtype is BF16; .* U8/);
});
