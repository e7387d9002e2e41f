import assert from "node:assert/strict";
import { toFloat32 } from "../dtypes.ts";
import { READABLE_TYPES } from "./tensor_types.ts";

interface Expected {
  readonly types: Readonly<Record<string, { readonly blocks: string; readonly values: string }>>;
}

const bytesOf = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

const { types }: Expected = JSON.parse(
  await Deno.readTextFile(new URL("../../../tests/fixtures/gguf/blocks.json", import.meta.url)),
);

Deno.test("GGUF blocks: every readable type has an expected value", () => {
  assert.deepEqual(Object.keys(types).sort(), READABLE_TYPES.map(({ name }) => name).sort());
});

for (const type of READABLE_TYPES) {
  Deno.test(`GGUF blocks of ${type.name} have the bits that the gguf package gives them`, () => {
    const blocks = bytesOf(types[type.name].blocks);
    const wanted = new Uint32Array(bytesOf(types[type.name].values).buffer);
    assert.equal(blocks.length / type.blockBytes * type.blockSize, wanted.length);
    let values;
    if (type.dequantize) {
      values = new Float32Array(wanted.length);
      type.dequantize(blocks, values);
    } else {
      values = toFloat32(type.dtype, blocks);
    }
    const got = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const different = got.findIndex((bits, i) => bits !== wanted[i]);
    assert.equal(different, -1, `value ${different} of ${type.name}`);
  });
}
