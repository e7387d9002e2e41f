import { FileFolder } from "@lopper/files";
import { MemorySource, readGgufHeader } from "@lopper/formats";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput } from "../../../tests/support/heterogeneous.ts";
import { exportGguf } from "./export.ts";
import { typeOfRows } from "./tensor_type.ts";

const EMBEDDED = new URL("../../demo-model/data/model/", import.meta.url);

Deno.test("GGUF types: rows that are not whole super-blocks get shorter blocks, others F16", () => {
  assert.equal(typeOfRows("Q4_K", 1536), "Q4_K");
  assert.equal(typeOfRows("Q4_K", 576), "Q5_0");
  assert.equal(typeOfRows("Q5_K", 576), "Q5_1");
  assert.equal(typeOfRows("Q6_K", 576), "Q8_0");
  assert.equal(typeOfRows("Q4_K", 72), "F16");
  assert.equal(typeOfRows("Q4_1", 72), "F16");
  assert.equal(typeOfRows("F32", 7), "F32");
});

Deno.test("GGUF types: a file of K-quants has every matrix in the type that llama.cpp would give it", async () => {
  using model = await openModel(new FileFolder(fileURLToPath(EMBEDDED)));
  const output = new MemoryOutput();
  const written = await exportGguf(model, output.open, { title: "m", precision: "q4_k" });
  const { tensors, metadata } = await readGgufHeader(
    new MemorySource("m.gguf", Object.values(output.files)[0]),
  );
  const typeOf = (name: string) => tensors.get(name)!.type.name;
  assert.equal(typeOf("blk.3.ffn_down.weight"), "Q4_K");
  assert.equal(typeOf("blk.3.ffn_up.weight"), "Q5_0");
  assert.equal(typeOf("blk.3.attn_output.weight"), "Q5_0");
  // It makes the logits, too.
  assert.equal(typeOf("token_embd.weight"), "Q8_0");
  assert.equal(typeOf("blk.3.attn_norm.weight"), "F32");
  assert.equal(metadata.count("general.file_type"), 8);
  assert.deepEqual(written.notes, [
    "72 of 84 matrices are Q5_0, since Q4_K needs rows of whole blocks of 256",
  ]);
});
