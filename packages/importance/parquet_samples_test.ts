import { CalibrationError } from "@lopper/core";
import { type ByteSource, MemorySource } from "@lopper/formats";
import assert from "node:assert/strict";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { ParquetFile } from "./parquet_rows.ts";
import { parquetSamples } from "./parquet_samples.ts";
import { everySample } from "./sample_list.ts";

const FIXTURES = new URL("../../tests/fixtures/parquet/", import.meta.url);
const MUTATIONS = 400;

const read = (name: string) => Deno.readFile(new URL(name, FIXTURES));
const refuse = (problem: string) => new CalibrationError(problem);
const samplesOf = async (name: string, bytes: Uint8Array) => {
  const open = () => Promise.resolve(new MemorySource(name, bytes));
  return await Array.fromAsync(everySample(await parquetSamples(open, name)));
};

Deno.test("parquet: the strings of the column text, whatever they are compressed with", async () => {
  const expected = JSON.parse(await Deno.readTextFile(new URL("expected.json", FIXTURES)));
  assert.ok(expected.samples.length > 40);
  for (const compression of ["none", "snappy", "gzip", "zstd", "brotli"]) {
    const file = `${compression}.parquet`;
    assert.deepEqual(await samplesOf(file, await read(file)), expected.samples, compression);
  }
});

Deno.test("parquet: what is no calibration text is refused with the reason", async () => {
  const refused = (file: string, bytes: Uint8Array, message: RegExp) =>
    assert.rejects(
      samplesOf(file, bytes),
      (error) => error instanceof CalibrationError && message.test(error.message),
      file,
    );
  await refused(
    "no_column.parquet",
    await read("no_column.parquet"),
    /^no_column\.parquet: it needs a column text and has body, id$/,
  );
  await refused(
    "numbers.parquet",
    await read("numbers.parquet"),
    /row 1: its column text holds no strings/,
  );
  await refused("empty.parquet", new Uint8Array(), /cannot be read as Parquet/);
  await refused("text.parquet", new TextEncoder().encode("some text"), /cannot be read as Parquet/);
  const whole = await read("none.parquet");
  await refused("torn.parquet", whole.subarray(0, 1000), /cannot be read as Parquet/);
});

Deno.test("parquet: rows by any stretch are those of the whole file", async () => {
  const expected = JSON.parse(await Deno.readTextFile(new URL("expected.json", FIXTURES)));
  const source = new MemorySource("zstd.parquet", await read("zstd.parquet"));
  const parquet = await ParquetFile.open(source, refuse);
  assert.deepEqual([...parquet.batches("text")].map(({ end }) => end), ENDS);
  for (const step of [1, 7, 50]) {
    const rows = [];
    for (let start = 0; start < ENDS.at(-1)!; start += step) {
      rows.push(...await parquet.rows({ start, end: start + step }, ["text"]));
    }
    const texts = rows.map(({ text }) => text).filter((text) => text);
    assert.deepEqual(texts, expected.samples, `${step} at a time`);
  }
  const open = () => Promise.resolve(source);
  const list = await parquetSamples(open, "zstd.parquet");
  const some = [0, 5, 20, 42];
  assert.deepEqual(await Array.fromAsync(list.read(some)), some.map((i) => expected.samples[i]));
});

/** Rows of the fixtures up to the end of each of their row groups. */
const ENDS = [16, 32, 45];

Deno.test("parquet: neither a file nor a page of it makes more be read than there may be", async () => {
  const bytes = await read("snappy.parquet");
  const source = new MemorySource("x", bytes);
  const { metadata } = await ParquetFile.open(source, refuse);
  const [, column] = metadata.row_groups[0].columns;
  const header = Number(column.meta_data!.dictionary_page_offset);
  // Thrift: the page's type, then its size when it is not compressed, as a zigzag of 7 bits a byte.
  assert.deepEqual([...bytes.subarray(header, header + 3)], [0x15, 0x04, 0x15]);
  const swollen = bytes.slice();
  let rest = header + 3;
  while (bytes[rest++] >= 0x80);
  const size = [80e6, 80e6 >> 7, 80e6 >> 14].map((n) => n & 0x7f | 0x80);
  swollen.set([...size, 80e6 >> 21, ...bytes.subarray(rest, rest + 40)], header + 3);
  await assert.rejects(
    samplesOf("x.parquet", swollen),
    /^CalibrationError: x\.parquet: .*a page has 40000000 bytes and 33554432 at most are read/,
  );
  const huge: ByteSource = {
    name: "huge",
    size: 10e9,
    read: (offset, length) => {
      const end = new Uint8Array(length);
      // A footer of 1 GB, as the last eight bytes have it.
      new DataView(end.buffer).setUint32(length - 8, 2 ** 30, true);
      end.set(new TextEncoder().encode("PAR1"), length - 4);
      assert.ok(length < 2 ** 20 && offset + length === 10e9, "the rest is not read");
      return Promise.resolve(end);
    },
    close: () => {},
  };
  await assert.rejects(
    parquetSamples(() => Promise.resolve(huge), "huge.parquet"),
    /huge\.parquet: .*bytes of it belong together and 67108864 at most are read at once/,
  );
});

Deno.test(`parquet: ${MUTATIONS} damaged files are samples or a typed error`, async () => {
  const random = xoroshiro128plus(5);
  const whole = await read("none.parquet");
  let refusals = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = whole.slice();
    const changes = uniformInt(random, 1, 4);
    for (let c = 0; c < changes; c++) {
      bytes[uniformInt(random, 0, bytes.length - 1)] = uniformInt(random, 0, 255);
    }
    try {
      const samples = await samplesOf("damaged.parquet", bytes);
      assert.ok(samples.every((sample) => typeof sample === "string"));
    } catch (error) {
      assert.ok(error instanceof CalibrationError, String(error));
      refusals += 1;
    }
  }
  assert.ok(refusals > MUTATIONS / 20);
});
