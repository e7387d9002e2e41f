import { EvaluationError } from "@lopper/core";
import { MemorySource } from "@lopper/model-io";
import assert from "node:assert/strict";
import { readRows } from "./rows.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const rows = (name: string, bytes: Uint8Array) => readRows(new MemorySource(name, bytes));

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
  // 300 MB of zeros fit into 300 kB
  await refuses("x.jsonl.gz", await gzip(new Uint8Array(300e6)), /268435456 at most/);
});
