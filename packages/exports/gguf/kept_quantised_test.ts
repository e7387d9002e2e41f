import { allKept, densePlan, ExportError, planOfKept } from "@lopper/core";
import { FileSource } from "@lopper/files";
import { type GgufHeader, MemorySource, readGgufHeader } from "@lopper/formats";
import { type Model, modelDigest, openGgufModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput, prunedInMemory } from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import { exportGguf } from "./export.ts";
import type { QuantisedSource } from "./kept_quantised.ts";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/gguf/models", import.meta.url));

async function opened(name: string) {
  const path = `${FIXTURES}/${name}.gguf`;
  const bytes = await Deno.readFile(path);
  return { source: await openGgufModel(await FileSource.open(path)), file: await fileOf(bytes) };
}

interface GgufFile {
  readonly bytes: Uint8Array;
  readonly header: GgufHeader;
}

async function fileOf(bytes: Uint8Array): Promise<GgufFile> {
  return { bytes, header: await readGgufHeader(new MemorySource("f", bytes), async () => {}) };
}

/** The bytes and the type of a tensor. */
function tensorOf({ bytes, header }: GgufFile, name: string) {
  const { type, offset, byteLength, shape } = header.tensors.get(name)!;
  return { type: type.name, shape, data: bytes.subarray(offset, offset + byteLength) };
}

async function exported(model: Model, quantised: QuantisedSource) {
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  const { notes } = await exportGguf(named, output.open, { title: "t", quantised });
  return { notes, ...await fileOf(Object.values(output.files)[0]) };
}

Deno.test("GGUF to GGUF: what is not pruned is the same bytes, of every type and interleaved or not", async () => {
  for (const name of ["llama-mixed", "qwen2", "qwen3", "gemma3", "mistral-sliding"]) {
    const { source, file } = await opened(name);
    const plan = densePlan(source.architecture, await modelDigest(source));
    const found = await exported(source, { model: source, plan });
    let copied = 0;
    for (const [tensor, { shape }] of file.header.tensors) {
      if (shape.length === 1) continue;
      assert.deepEqual(tensorOf(found, tensor), tensorOf(file, tensor), `${name} ${tensor}`);
      copied += 1;
    }
    assert.ok(copied > 3);
    assert.ok(found.notes?.some((note) => note.startsWith(`${copied} of `)), String(found.notes));
    source[Symbol.dispose]();
  }
});

Deno.test("GGUF to GGUF: rows that stay are copied, also those of interleaved heads; columns in whole blocks", async () => {
  const { source, file } = await opened("llama-mixed");
  const { blocks } = source.architecture;
  // The second KV group of two, of 16 query rows and 8 rows of k and v; the second block of 32
  // channels of 64 in one layer, and half of a block more in the other.
  const kept = allKept(blocks).map((units, i) => {
    const { kind, layer } = blocks[i];
    if (kind === "attention") return layer === 0 ? { kvGroups: [1] } : units;
    const channels = Array.from({ length: 64 }, (_, c) => c);
    return { channels: channels.slice(layer === 0 ? 32 : 16) };
  });
  const modelDigestOf = await modelDigest(source);
  const plan = planOfKept(source.architecture, kept, {
    modelDigest: modelDigestOf,
    removalOrder: [],
  });
  const model = await prunedInMemory(source, plan);
  const found = await exported(model, { model: source, plan });
  const rows = (name: string, from: number, to: number) => {
    const { type, shape, data } = tensorOf(file, name);
    const each = data.length / shape[0];
    return {
      type,
      shape: [to - from, ...shape.slice(1)],
      data: data.slice(from * each, to * each),
    };
  };
  assert.deepEqual(tensorOf(found, "blk.0.attn_q.weight"), rows("blk.0.attn_q.weight", 16, 32));
  assert.deepEqual(tensorOf(found, "blk.0.attn_k.weight"), rows("blk.0.attn_k.weight", 8, 16));
  assert.deepEqual(tensorOf(found, "blk.0.ffn_gate.weight"), rows("blk.0.ffn_gate.weight", 32, 64));
  assert.deepEqual(tensorOf(found, "blk.1.ffn_up.weight"), rows("blk.1.ffn_up.weight", 16, 64));
  assert.deepEqual(tensorOf(found, "blk.1.attn_q.weight"), tensorOf(file, "blk.1.attn_q.weight"));
  // The second block of each row of a Q8_0 matrix of two.
  const down = tensorOf(file, "blk.0.ffn_down.weight");
  const halves = Array.from(
    { length: 32 },
    (_, row) => [...down.data.slice(68 * row + 34, 68 * row + 68)],
  );
  assert.deepEqual(tensorOf(found, "blk.0.ffn_down.weight"), {
    ...{ type: "Q8_0", shape: [32, 32] },
    data: Uint8Array.from(halves.flat()),
  });
  // 48 channels, and 16 inputs of o, are no whole blocks.
  assert.equal(tensorOf(found, "blk.1.ffn_down.weight").type, "F16");
  assert.equal(tensorOf(found, "blk.0.attn_output.weight").type, "F16");
  const again = await openGgufModel(new MemorySource("again", found.bytes));
  for (const { tensor } of model.weights) {
    const [wanted, got] = await Promise.all(
      [model, again].map(({ store }) => store.readFloat32(tensor.name)),
    );
    assert.deepEqual(got, wanted, tensor.name);
  }
  source[Symbol.dispose]();
});

Deno.test("GGUF to GGUF: a matrix with new values is quantised again, and a plan of another model is refused", async () => {
  const { source, file } = await opened("qwen2");
  const plan = densePlan(source.architecture, await modelDigest(source));
  const name = "model.layers.0.mlp.down_proj.weight";
  const changed: Model = {
    ...source,
    store: {
      tensors: source.store.tensors,
      readBytes: async (tensor, ...range) => {
        const bytes = await source.store.readBytes(tensor, ...range);
        return tensor === name ? bytes.map((byte, i) => i === 0 ? byte ^ 1 : byte) : bytes;
      },
      readHalves: (tensor) => source.store.readHalves(tensor),
      readFloat32: async (tensor) => {
        const values = await source.store.readFloat32(tensor);
        return tensor === name ? values.map((value) => 2 * value) : values;
      },
      close() {},
    },
  };
  const found = await exported(changed, { model: source, plan });
  const down = "blk.0.ffn_down.weight", up = "blk.0.ffn_up.weight";
  assert.equal(tensorOf(found, down).type, "Q8_0");
  assert.notDeepEqual(tensorOf(found, down).data, tensorOf(file, down).data);
  assert.deepEqual(tensorOf(found, up), tensorOf(file, up));
  const fewer = planOfKept(
    source.architecture,
    allKept(source.architecture.blocks).map((units, i) => i === 0 ? null : units),
    { modelDigest: plan.modelDigest, removalOrder: [] },
  );
  await assert.rejects(
    exported(source, { model: source, plan: fewer }),
    (error) => error instanceof ExportError && /not what its plan keeps/.test(error.message),
  );
  source[Symbol.dispose]();
});
