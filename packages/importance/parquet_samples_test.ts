import { CalibrationError } from "@lopper/core";
import { MemorySource } from "@lopper/model-io";
import assert from "node:assert/strict";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { parquetSamples } from "./parquet_samples.ts";

const FIXTURES = new URL("../../tests/fixtures/parquet/", import.meta.url);
const MUTATIONS = 400;

const read = (name: string) => Deno.readFile(new URL(name, FIXTURES));
const samplesOf = (name: string, bytes: Uint8Array) =>
  parquetSamples(new MemorySource(name, bytes), name);

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
