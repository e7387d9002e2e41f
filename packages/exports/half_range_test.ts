import { CheckpointFormatError, ExportError, type FloatDType } from "@lopper/core";
import {
  BLOCK_GRIDS,
  encodeBlocks,
  fromFloat32,
  type TensorInfo,
  toFloat32,
} from "@lopper/formats";
import type { Model } from "@lopper/models";
import assert from "node:assert/strict";
import { convertedTensor } from "./convert.ts";
import { GGUF_QUANTIZATIONS } from "./export.ts";
import { checkHalfRange, checkPrecision } from "./half_range.ts";

/** The weights of a model of one matrix, of zeros but for one value. */
function model(dtype: FloatDType, value: number, place: number, [rows, columns] = [8, 32]) {
  const values = new Float32Array(rows * columns);
  values[place] = value;
  const bytes = fromFloat32(dtype, values);
  const tensor: TensorInfo = {
    name: "up_proj",
    dtype,
    shape: columns ? [rows, columns] : [rows],
    file: "m/model.safetensors",
    offset: 0,
    byteLength: bytes.byteLength,
  };
  const store = {
    tensors: new Map([[tensor.name, tensor]]),
    readBytes: (_: string, offset = 0, length = bytes.byteLength - offset) =>
      Promise.resolve(bytes.slice(offset, offset + length)),
    readFloat32: () => {
      if (!Number.isFinite(value)) {
        throw new CheckpointFormatError("not finite", { file: tensor.file, tensor: tensor.name });
      }
      return Promise.resolve(toFloat32(dtype, bytes));
    },
    readHalves: () => Promise.resolve(new Uint16Array(bytes.buffer)),
    close() {},
  };
  return { tensor, store, weights: [{ role: { part: "embedding" }, tensor }] } as unknown as
    & Model
    & { tensor: TensorInfo };
}

const says = (found: string) =>
  new RegExp(`^m/model\\.safetensors, tensor "up_proj": ${found}, and \\w+ ends at 65504; .*fp32$`);

Deno.test("half range: what float16 cannot hold is named before the work, by its place in the source", async () => {
  // bfloat16 has no number near the end of float16
  const beyond: readonly [FloatDType, number][] = [["F32", 65_520], ["BF16", 131_072]];
  for (const [dtype, value] of beyond) {
    for (const precision of ["fp16", "q8_0", "q4_0"] as const) {
      await assert.rejects(checkPrecision(model(dtype, -value, 77), precision), (error) => {
        assert.ok(error instanceof ExportError, String(error));
        assert.match(error.message, says(`value 77 is -${value}`));
        return true;
      });
    }
    for (const precision of ["fp32", "q8", "q4"] as const) {
      await checkPrecision(model(dtype, value, 77), precision);
    }
  }
  await checkPrecision(model("F32", 65_519, 3), "fp16");
  await checkPrecision(model("F16", 65_504, 3), "q8_0");
  // one that is no number has no size, and is named where the weight is read
  await checkPrecision(model("F32", NaN, 3), "fp16");
  await assert.rejects(checkPrecision(model("F32", Infinity, 3), "fp16"), CheckpointFormatError);
});

Deno.test("half range: matrices are looked at in parts", async () => {
  const [rows, columns] = [2 ** 19, 10];
  const place = rows * columns - 1;
  await assert.rejects(
    checkPrecision(model("F32", 1e5, place, [rows, columns]), "fp16"),
    (error) => error instanceof Error && says(`value ${place} is 100000`).test(error.message),
  );
});

Deno.test("half range: a block that is let through comes back as numbers of float16", () => {
  const tensor = model("F32", 0, 0).tensor;
  for (const type of Object.values(GGUF_QUANTIZATIONS)) {
    const grid = BLOCK_GRIDS[type];
    const parts = grid.values / grid.part;
    const [steps, offsets] = [new Float32Array(parts), new Float32Array(parts)];
    let passed = 0;
    for (let value = 63_400; value < 65_600; value++) {
      const values = new Float32Array(grid.values);
      values[9] = value;
      values[10] = -value;
      try {
        checkHalfRange(tensor, values, type);
      } catch (error) {
        assert.ok(error instanceof ExportError);
        continue;
      }
      passed += 1;
      grid.lines(encodeBlocks(grid, values), 0, steps, offsets);
      for (const end of [value, -value]) {
        const code = Math.round((end - offsets[0]) / steps[0]);
        const read = steps[0] * Math.max(0, Math.min(grid.codes - 1, code)) + offsets[0];
        assert.ok(Math.abs(read) < 65_520, `${type} ${end}: ${read}`);
      }
    }
    assert.ok(passed > 50, `${passed}`);
  }
});

Deno.test("conversion: a dtype that stays is looked at, too", async () => {
  const { store, tensor } = model("F32", 2, 5);
  const same = await convertedTensor(store, tensor, "F32").data();
  assert.deepEqual(same, await store.readBytes(""));
  const broken = model("F32", Infinity, 5);
  await assert.rejects(
    convertedTensor(broken.store, broken.tensor, "F32").data(),
    CheckpointFormatError,
  );
});
