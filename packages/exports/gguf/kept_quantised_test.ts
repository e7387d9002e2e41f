import { allKept, densePlan, ExportError, planOfKept, sizeOf } from "@lopper/core";
import { FileSource } from "@lopper/files";
import {
  type GgufHeader,
  MemorySink,
  MemorySource,
  readGgufHeader,
  type TensorTypeName,
  writeGguf,
} from "@lopper/formats";
import { type Model, modelDigest, openGgufModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput, prunedInMemory } from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import type { GgufPrecision } from "../export.ts";
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

async function exported(model: Model, quantised: QuantisedSource, precision?: GgufPrecision) {
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  const { notes } = await exportGguf(named, output.open, { title: "t", quantised, precision });
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

Deno.test("GGUF to GGUF: rows of heads are copied into the order of another architecture", async () => {
  const { source, file } = await opened("qwen2");
  const { blocks } = source.architecture;
  const kept = allKept(blocks).map((units, i) => blocks[i].id === "1.mlp" ? null : units);
  const digest = await modelDigest(source);
  const plan = planOfKept(source.architecture, kept, { modelDigest: digest, removalOrder: [] });
  const found = await exported(await prunedInMemory(source, plan), { model: source, plan });
  const name = "blk.1.attn_k.weight";
  const [there, here] = [tensorOf(found, name), tensorOf(file, name)];
  const row = (data: Uint8Array, at: number) => [...data.subarray(34 * at, 34 * (at + 1))];
  assert.equal(await found.header.metadata.text("general.architecture"), "deci");
  assert.equal(there.type, "Q8_0");
  // Two heads of 8 channels each: 0 4 1 5 2 6 3 7.
  for (const head of [0, 8]) {
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(row(there.data, head + 2 * i), row(here.data, head + i));
      assert.deepEqual(row(there.data, head + 2 * i + 1), row(here.data, head + 4 + i));
    }
  }
  // 8 bits that are quantised once more are the same: whether they were is in the note.
  assert.ok(found.notes?.some((note) => /^(\d+) of \1 matrices/.test(note)), String(found.notes));
  source[Symbol.dispose]();
});

async function converted(name: string): Promise<GgufFile> {
  const folder = new URL("../../../tests/fixtures/gguf/families/", import.meta.url);
  return await fileOf(await Deno.readFile(new URL(`${name}.gguf`, folder)));
}

/** The same file with a tensor of another type. */
async function replaced(
  file: GgufFile,
  name: string,
  { type, shape, blocks }: {
    readonly type: TensorTypeName;
    readonly shape: readonly number[];
    readonly blocks: Uint8Array;
  },
): Promise<Uint8Array> {
  const { metadata, tensors } = file.header;
  const entries = await Promise.all(metadata.keys().map((key) => metadata.entry(key)));
  const sink = new MemorySink();
  await writeGguf(
    sink,
    entries,
    [...tensors.keys()].map((other) => {
      const own = tensorOf(file, other);
      return other === name ? { name, type, shape, data: () => Promise.resolve(blocks) } : {
        ...{ name: other, shape: own.shape, type: own.type as TensorTypeName },
        data: () => Promise.resolve(own.data),
      };
    }),
  );
  await sink.commit();
  return sink.bytes;
}

/** A model of a fixture as quantised file, opened, and the file itself. */
async function quantisedFixture(path: string) {
  const folder = new URL("../../../tests/fixtures/gguf/", import.meta.url);
  using model = await openGgufModel(await FileSource.open(fileURLToPath(new URL(path, folder))));
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  await exportGguf(named, output.open, { title: "t", precision: "q8_0" });
  const [bytes] = Object.values(output.files);
  return {
    source: await openGgufModel(new MemorySource("quantised.gguf", bytes)),
    file: await fileOf(bytes),
  };
}

Deno.test("GGUF to GGUF: experts that stay are copied, each with all of its rows", async () => {
  const { source, file } = await quantisedFixture("families/qwen2_moe.gguf");
  const experts = [[1, 3], [0, 2]];
  const kept = allKept(source.architecture.blocks).map((units, i) => {
    const { kind, layer } = source.architecture.blocks[i];
    return kind === "experts" ? { experts: experts[layer] } : units;
  });
  const digest = await modelDigest(source);
  const plan = planOfKept(source.architecture, kept, { modelDigest: digest, removalOrder: [] });
  const found = await exported(await prunedInMemory(source, plan), { model: source, plan });
  let stacked = 0;
  for (const [name, { shape }] of file.header.tensors) {
    if (shape.length === 1) continue;
    const whole = tensorOf(file, name);
    const isOfExperts = /_exps\.|ffn_gate_inp\.weight/.test(name);
    stacked += Number(/_exps\./.test(name));
    const those = experts[Number(/^blk\.(\d)/.exec(name)?.[1] ?? 0)];
    const each = whole.data.length / shape[0];
    const data = isOfExperts
      ? those.flatMap((e) => [...whole.data.subarray(e * each, (e + 1) * each)])
      : whole.data;
    assert.deepEqual(
      tensorOf(found, name),
      {
        type: whole.type,
        shape: isOfExperts ? [2, ...shape.slice(1)] : shape,
        data: Uint8Array.from(data),
      },
      name,
    );
  }
  assert.equal(stacked, 6);
  assert.equal(tensorOf(found, "blk.0.ffn_gate_exps.weight").type, "Q8_0");
  assert.ok(found.notes?.some((note) => /^(\d+) of \1 matrices/.test(note)), String(found.notes));
  source[Symbol.dispose]();
});

Deno.test("GGUF to GGUF: rows and columns of channels that experts keep are copied, of each its own", async () => {
  const { source, file } = await quantisedFixture("families/qwen2_moe.gguf");
  const { blocks } = source.architecture;
  const { channels, experts } = sizeOf(blocks[1]);
  const own = (e: number) => [e, e + 2];
  const kept = allKept(blocks).map((units, i) =>
    blocks[i].kind === "experts"
      ? {
        experts: [1, 3],
        channels: Array.from(
          { length: experts },
          (_, e) => own(e).map((unit) => e * channels + unit),
        ).flat(),
      }
      : units
  );
  const digest = await modelDigest(source);
  const plan = planOfKept(source.architecture, kept, { modelDigest: digest, removalOrder: [] });
  const found = await exported(await prunedInMemory(source, plan), { model: source, plan });
  for (const name of ["blk.0.ffn_gate_exps.weight", "blk.0.ffn_up_exps.weight"]) {
    const { data, type, shape } = tensorOf(file, name);
    const row = data.length / experts / channels;
    const rows = [1, 3].flatMap((e) => own(e).map((unit) => e * channels + unit));
    assert.deepEqual(tensorOf(found, name), {
      ...{ type, shape: [2, 2, shape[2]] },
      data: Uint8Array.from(rows.flatMap((at) => [...data.subarray(at * row, (at + 1) * row)])),
    });
    assert.equal(type, "Q8_0");
  }
  // Bytes that were made anew might be the same, and would not count as copied.
  assert.ok(found.notes?.some((note) => /^(\d+) of \1 matrices/.test(note)), String(found.notes));
  source[Symbol.dispose]();
});

Deno.test("GGUF to GGUF: experts in MXFP4, as gpt-oss is published, are copied", async () => {
  const { bytes, header } = await converted("gpt_oss");
  const name = "blk.0.ffn_gate_exps.weight";
  const { shape } = header.tensors.get(name)!;
  // Of 16 rows of 32 values, a block each.
  const blocks = Uint8Array.from(
    { length: shape[0] * shape[1] * 17 },
    (_, i) => i % 17 === 0 ? 120 + i % 9 : (37 * i) % 256,
  );
  const quantised = await replaced({ bytes, header }, name, { type: "MXFP4", shape, blocks });
  const source = await openGgufModel(new MemorySource("quantised.gguf", quantised));
  const { architecture, weights } = source;
  // Its scales go beyond the range of F16.
  const gate = weights.find(({ role }) => "layer" in role && role.weight === "gate");
  assert.equal(gate?.tensor.dtype, "BF16");
  const kept = allKept(architecture.blocks).map((units, i) =>
    architecture.blocks[i].kind === "experts" ? { experts: [0, 3] } : units
  );
  const plan = planOfKept(architecture, kept, {
    modelDigest: await modelDigest(source),
    removalOrder: [],
  });
  const found = await exported(await prunedInMemory(source, plan), { model: source, plan });
  const each = blocks.length / shape[0];
  assert.deepEqual(tensorOf(found, name), {
    ...{ type: "MXFP4", shape: [2, ...shape.slice(1)] },
    data: Uint8Array.of(...blocks.subarray(0, each), ...blocks.subarray(3 * each, 4 * each)),
  });
  source[Symbol.dispose]();
});

Deno.test("GGUF to GGUF: a file is called by the type of most of its matrices", async () => {
  const types = { "llama-mixed": 2, "qwen2": 7, "qwen3": 1, "gemma3": 7, "mistral-sliding": 1 };
  for (const [name, type] of Object.entries(types)) {
    const { source } = await opened(name);
    const plan = densePlan(source.architecture, await modelDigest(source));
    const { header: { metadata } } = await exported(source, { model: source, plan });
    assert.equal(metadata.count("general.file_type"), type, name);
    // Whatever most of them are, some are quantised.
    assert.equal(metadata.count("general.quantization_version"), 2, name);
    source[Symbol.dispose]();
  }
});

/** A model of which one matrix has twice its values. */
function withNewValues(model: Model, name: string): Model {
  const { store } = model;
  return {
    ...model,
    store: {
      tensors: store.tensors,
      readBytes: async (tensor, ...range) => {
        const bytes = await store.readBytes(tensor, ...range);
        return tensor === name ? bytes.map((byte, i) => i === 0 ? byte ^ 1 : byte) : bytes;
      },
      readHalves: (tensor) => store.readHalves(tensor),
      readFloat32: async (tensor) => {
        const values = await store.readFloat32(tensor);
        return tensor === name ? values.map((value) => 2 * value) : values;
      },
      close() {},
    },
  };
}

Deno.test("GGUF to GGUF: matrices in one tensor are copied together, or quantised together", async () => {
  const { source, file } = await quantisedFixture("families/phi3.gguf");
  const plan = densePlan(source.architecture, await modelDigest(source));
  const changed = withNewValues(source, "model.layers.0.self_attn.k_proj.weight");
  const found = await exported(changed, { model: source, plan }, "q4_0");
  assert.equal(tensorOf(found, "blk.0.attn_qkv.weight").type, "Q4_0");
  for (const name of ["blk.0.ffn_up.weight", "blk.1.attn_qkv.weight"]) {
    assert.deepEqual(tensorOf(found, name), tensorOf(file, name), name);
    assert.equal(tensorOf(found, name).type, "Q8_0");
  }
  source[Symbol.dispose]();
});

Deno.test("GGUF to GGUF: a matrix with new values is quantised again, and a plan of another model is refused", async () => {
  const { source, file } = await opened("qwen2");
  const plan = densePlan(source.architecture, await modelDigest(source));
  const name = "model.layers.0.mlp.down_proj.weight";
  const changed = withNewValues(source, name);
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
