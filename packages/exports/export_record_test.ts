import { seal } from "@lopper/core";
import assert from "node:assert/strict";
import { type ExportRecord, exportRecordOf } from "./export_record.ts";

const RECORD: ExportRecord = {
  kind: "lopper-export",
  schema: 1,
  version: "0.2.0",
  source: { name: "p", digest: "sha256:a" },
  format: "gguf",
  dtype: null,
  quantize: "q8_0",
  layout: "deci",
  customCode: false,
  unquantised: ["a"],
  notes: ["a sentence"],
  files: ["p.gguf"],
  bytes: 12,
  verification: {
    ...{ maxAbs: 1e-5, meanKl: 0, sameTop: 1, positions: 64 },
    tolerance: null,
    by: "lopper",
    engine: "an engine",
  },
};

Deno.test("export record: it is taken as it was written, and not at all where something was changed", async () => {
  const read = async (value: object) =>
    await exportRecordOf(JSON.parse(JSON.stringify(await seal(value))));
  assert.deepEqual(await read(RECORD), RECORD);
  const { layout: _l, unquantised: _u, notes: _n, ...plain } = RECORD;
  assert.deepEqual(await read({ ...plain, verification: null }), { ...plain, verification: null });
  const sealed = await seal(RECORD);
  assert.equal(await exportRecordOf({ ...sealed, bytes: 13 }), null);
  for (const json of [null, [], RECORD, {}, "text"]) assert.equal(await exportRecordOf(json), null);
  // nor what is sealed anew, and no record
  for (const key of Object.keys(plain)) {
    assert.equal(await read({ ...RECORD, [key]: undefined }), null, key);
  }
  assert.equal(await read({ ...RECORD, more: 1 }), null);
  assert.equal(await read({ ...RECORD, source: null }), null);
});
