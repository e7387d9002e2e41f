import { EvaluationError } from "@lopper/core";
import { type ByteSource, MemorySource } from "@lopper/formats";
import assert from "node:assert/strict";
import { MAX_ROWS_BYTES, readRows, type RowOptions } from "./rows.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const rows = async (name: string, bytes: Uint8Array, options: RowOptions = {}) =>
  (await readRows(new MemorySource(name, bytes), options)).rows;

async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("rows: JSON lines, compressed or not; a text gives a row for each line", async () => {
  const lines = utf8('{"a": 1}\n\n{"a": "é"}\n');
  const wanted = [{ a: 1 }, { a: "é" }];
  assert.deepEqual(await rows("x.jsonl", lines), wanted);
  assert.deepEqual(await rows("x.jsonl.gz", await gzip(lines)), wanted);
  assert.deepEqual(await rows("wiki.test.raw", utf8(" \n = Sea = \n \n It is deep . \n")), [
    { text: "" },
    { text: " = Sea = \n" },
    { text: "" },
    { text: " It is deep . \n" },
  ]);
});

Deno.test("rows: a byte order mark and line ends of Windows are no part of a row", async () => {
  const lines = utf8('\ufeff{"a": 1}\r\n\r\n{"a": 2}\r\n');
  for (const bytes of [lines, await gzip(lines)]) {
    const name = bytes === lines ? "x.jsonl" : "x.jsonl.gz";
    assert.deepEqual(await rows(name, bytes), [{ a: 1 }, { a: 2 }]);
  }
  assert.deepEqual(await rows("wiki.test.raw", utf8("\ufeffdeep\n")), [{ text: "deep\n" }]);
});

Deno.test("rows: Parquet", async () => {
  const file = new URL("../../tests/fixtures/parquet/snappy.parquet", import.meta.url);
  const found = await rows("x.parquet", await Deno.readFile(file));
  assert.ok(found.length > 1);
  assert.equal(typeof (found[0] as { text: unknown }).text, "string");
});

Deno.test("rows: bytes that are not what the name says are refused with the name", async () => {
  const refuses = (name: string, bytes: Uint8Array, message: RegExp) =>
    assert.rejects(rows(name, bytes), (error: Error) => {
      assert.ok(error instanceof EvaluationError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await refuses("x.jsonl", utf8('{"a": 1}\n{"a": \n'), /^x\.jsonl, line 2: not JSON/);
  await refuses("x.jsonl", Uint8Array.of(0xff), /^x\.jsonl: not UTF-8/);
  await refuses("x.jsonl.gz", utf8("{}"), /^x\.jsonl\.gz: it cannot be read as gzip/);
  await refuses("x.parquet", utf8("{}"), /^x\.parquet: it cannot be read as Parquet/);
  // 60 MB of the same fit into 60 kB
  const zipped = await gzip(new Uint8Array(60e6).fill(32));
  await refuses("x.jsonl.gz", zipped, /behind its byte 0 there is no line end for 16777216 bytes/);
  await assert.rejects(readRows(ENDLESS), /^EvaluationError: x\.jsonl: .*268435456 at most$/);
  await refuses("x.jsonl", new Uint8Array(9), /^x\.jsonl: not a text: its byte 0 is 0/);
});

/** Blank lines without end. */
const ENDLESS: ByteSource = {
  name: "x.jsonl",
  size: 1e12,
  read: (_, length) => Promise.resolve(new Uint8Array(length).fill(32).fill(10, -1)),
  close: () => {},
};

Deno.test("rows: so many of the first are kept, the others counted, and those that are kept have a limit", async () => {
  const line = JSON.stringify({ text: "word ".repeat(200) }) + "\n";
  const many = utf8(line.repeat(3000));
  const source = (name: string) => new MemorySource(name, many);
  const { rows, available } = await readRows(source("x.jsonl"), { limit: 10 });
  assert.deepEqual([rows.length, available], [10, 3000]);
  const all = await readRows(source("x.jsonl"));
  assert.deepEqual([all.rows.length, all.available], [3000, 3000]);
  assert.ok(all.bytes > many.byteLength);
  await assert.rejects(
    readRows(source("x.jsonl"), { maxBytes: 1e6 }),
    /^EvaluationError: x\.jsonl: with its rows there are more than 50331648 bytes, .*--limit/,
  );
  assert.equal((await readRows(source("x.jsonl"), { maxBytes: 1e6, limit: 500 })).available, 3000);
  const nope = utf8(line.repeat(3000) + "nope\n");
  await assert.rejects(
    readRows(new MemorySource("x.jsonl", nope), { limit: 1 }),
    /x\.jsonl, line 3001: not JSON/,
  );
  assert.ok(MAX_ROWS_BYTES > 20e6);
  const file = new URL("../../tests/fixtures/parquet/snappy.parquet", import.meta.url);
  const parquet = new MemorySource("x.parquet", await Deno.readFile(file));
  const few = await readRows(parquet, { limit: 5 });
  assert.deepEqual([few.rows.length, few.available], [5, 45]);
  await assert.rejects(readRows(parquet, { maxBytes: 1000 }), /with its rows there are more than/);
});
