import {
  type Architecture,
  type Block,
  CheckpointFormatError,
  sizeOf,
  weightShape,
} from "@lopper/core";
import {
  MemoryFolder,
  MemorySink,
  openTensorStore,
  type TensorEntry,
  writeSafetensors,
} from "@lopper/formats";
import { blockTensorName, type Family, type PackedTensor } from "./families/family.ts";
import { llama } from "./families/llama.ts";
import { packedEntries } from "./packed_entries.ts";
import { unpacked } from "./unpacked_store.ts";
import assert from "node:assert/strict";

const HIDDEN = 4, HEAD = 3, GROUPS = 2, QUERIES = 2, CHANNELS = 5, EXPERTS = 3;
const along = (dimension: string, width: number) => ({ dimension, width });

const attention: Block = {
  ...{ id: "0.attention", layer: 0, kind: "attention" },
  dimensions: [{ name: "kvGroups", units: GROUPS }],
  weights: [
    { name: "norm", axes: [HIDDEN] },
    { name: "q", axes: [along("kvGroups", QUERIES * HEAD), HIDDEN] },
    { name: "k", axes: [along("kvGroups", HEAD), HIDDEN] },
    { name: "v", axes: [along("kvGroups", HEAD), HIDDEN] },
    { name: "o", axes: [HIDDEN, along("kvGroups", QUERIES * HEAD)] },
    { name: "q_bias", axes: [along("kvGroups", QUERIES * HEAD)] },
    { name: "k_bias", axes: [along("kvGroups", HEAD)] },
    { name: "v_bias", axes: [along("kvGroups", HEAD)] },
  ],
};
const experts: Block = {
  ...{ id: "0.mlp", layer: 0, kind: "mlp" },
  dimensions: [{ name: "experts", units: EXPERTS }, { name: "channels", units: CHANNELS }],
  weights: [
    { name: "gate", axes: [along("experts", 1), along("channels", 1), HIDDEN] },
    { name: "up", axes: [along("experts", 1), along("channels", 1), HIDDEN] },
    { name: "down", axes: [along("experts", 1), HIDDEN, along("channels", 1)] },
    { name: "gate_bias", axes: [along("experts", 1), along("channels", 1)] },
    { name: "up_bias", axes: [along("experts", 1), along("channels", 1)] },
  ],
};
const ARCHITECTURE = { blocks: [attention, experts] } as unknown as Architecture;

const valuesOf = (shape: readonly number[], first: number) =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i);

/** Every weight with numbers of its own, from its place times 1000 on. */
function plainEntries(family: Family): (TensorEntry & { readonly values: Float32Array })[] {
  return ARCHITECTURE.blocks.flatMap((block, b) =>
    block.weights.map((weight, w) => {
      const shape = weightShape(weight, sizeOf(block));
      const values = valuesOf(shape, (8 * b + w) * 1000);
      return {
        ...{ name: blockTensorName(family, block, weight.name), dtype: "F32" as const, shape },
        ...{ values, data: () => Promise.resolve(new Uint8Array(values.slice().buffer)) },
      };
    })
  );
}

/** The number that a weight has at a place. */
function at(block: 0 | 1, weight: string, ...place: readonly number[]): number {
  const of = ARCHITECTURE.blocks[block];
  const number = of.weights.findIndex(({ name }) => name === weight);
  const shape = weightShape(of.weights[number], sizeOf(of));
  return (8 * block + number) * 1000 + place.reduce((sum, i, axis) => sum * shape[axis] + i, 0);
}

interface Form {
  readonly packing: readonly PackedTensor[];
  /** Behind the name of the layer: shape, and the number at each place. */
  readonly stored: Readonly<
    Record<string, readonly [readonly number[], (...place: readonly number[]) => number]>
  >;
}

const Q = GROUPS * QUERIES * HEAD, K = GROUPS * HEAD, GROUP = (QUERIES + 2) * HEAD;
const qkvBehind = (bias: string) => (row: number, ...column: number[]) =>
  row < Q
    ? at(0, `q${bias}`, row, ...column)
    : row < Q + K
    ? at(0, `k${bias}`, row - Q, ...column)
    : at(0, `v${bias}`, row - Q - K, ...column);
const qkvByGroup = (bias: string) => (row: number, ...column: number[]) => {
  const group = Math.floor(row / GROUP), inGroup = row % GROUP;
  if (inGroup < QUERIES * HEAD) {
    return at(0, `q${bias}`, group * QUERIES * HEAD + inGroup, ...column);
  }
  const key = inGroup - QUERIES * HEAD;
  return key < HEAD
    ? at(0, `k${bias}`, group * HEAD + key, ...column)
    : at(0, `v${bias}`, group * HEAD + key - HEAD, ...column);
};
const gateOrUp = (row: number) =>
  row < CHANNELS ? ["gate", row] as const : ["up", row - CHANNELS] as const;

const FORMS: Readonly<Record<string, Form>> = {
  "rows behind one another (Phi-3)": {
    packing: [
      { tensor: "qkv.weight", kind: "attention", weights: ["q", "k", "v"] },
      { tensor: "qkv.bias", kind: "attention", weights: ["q_bias", "k_bias", "v_bias"] },
      { tensor: "none.weight", kind: "attention", weights: ["sinks"] },
    ],
    stored: {
      "qkv.weight": [[Q + 2 * K, HIDDEN], qkvBehind("")],
      "qkv.bias": [[Q + 2 * K], qkvBehind("_bias")],
    },
  },
  "rows of each unit together (GPT-NeoX)": {
    packing: [
      { tensor: "qkv.weight", kind: "attention", weights: ["q", "k", "v"], byUnit: true },
      {
        ...{ tensor: "qkv.bias", kind: "attention", byUnit: true },
        weights: ["q_bias", "k_bias", "v_bias"],
      },
    ],
    stored: {
      "qkv.weight": [[Q + 2 * K, HIDDEN], qkvByGroup("")],
      "qkv.bias": [[Q + 2 * K], qkvByGroup("_bias")],
    },
  },
  "inputs first (GPT-2)": {
    packing: [
      { tensor: "qkv.weight", kind: "attention", weights: ["q", "k", "v"], transposed: true },
      { tensor: "qkv.bias", kind: "attention", weights: ["q_bias", "k_bias", "v_bias"] },
      { tensor: "self_attn.o_proj.weight", kind: "attention", weights: ["o"], transposed: true },
    ],
    stored: {
      "qkv.weight": [[HIDDEN, Q + 2 * K], (column, row) => qkvBehind("")(row, column)],
      "qkv.bias": [[Q + 2 * K], qkvBehind("_bias")],
      "self_attn.o_proj.weight": [[Q, HIDDEN], (column, row) => at(0, "o", row, column)],
    },
  },
  "experts, gate above up (Qwen3-MoE)": {
    packing: [
      { tensor: "gate_up", kind: "mlp", weights: ["gate", "up"], stacked: true },
      { tensor: "down", kind: "mlp", weights: ["down"], stacked: true },
    ],
    stored: {
      gate_up: [[EXPERTS, 2 * CHANNELS, HIDDEN], (e, row, column) => {
        const [weight, channel] = gateOrUp(row);
        return at(1, weight, e, channel, column);
      }],
      down: [[EXPERTS, HIDDEN, CHANNELS], (...place) => at(1, "down", ...place)],
    },
  },
  "experts, inputs first, gate and up in turn (gpt-oss)": {
    packing: [
      {
        ...{ tensor: "gate_up", kind: "mlp", weights: ["gate", "up"] },
        ...{ stacked: true, transposed: true, byUnit: true },
      },
      {
        tensor: "bias",
        kind: "mlp",
        weights: ["gate_bias", "up_bias"],
        stacked: true,
        byUnit: true,
      },
      { tensor: "down", kind: "mlp", weights: ["down"], stacked: true, transposed: true },
    ],
    stored: {
      gate_up: [
        [EXPERTS, HIDDEN, 2 * CHANNELS],
        (e, column, row) => at(1, ["gate", "up"][row % 2], e, row >> 1, column),
      ],
      bias: [
        [EXPERTS, 2 * CHANNELS],
        (e, row) => at(1, ["gate_bias", "up_bias"][row % 2], e, row >> 1),
      ],
      down: [[EXPERTS, CHANNELS, HIDDEN], (e, column, row) => at(1, "down", e, row, column)],
    },
  },
  "experts, a tensor each (Mixtral)": {
    packing: [
      { tensor: "experts.{e}.w1", kind: "mlp", weights: ["gate"] },
      { tensor: "experts.{e}.w3", kind: "mlp", weights: ["up"] },
      { tensor: "experts.{e}.w2", kind: "mlp", weights: ["down"], transposed: true },
    ],
    stored: Object.fromEntries(
      Array.from({ length: EXPERTS }, (_, e): [string, Form["stored"][string]][] => [
        [`experts.${e}.w1`, [[CHANNELS, HIDDEN], (...place) => at(1, "gate", e, ...place)]],
        [`experts.${e}.w3`, [[CHANNELS, HIDDEN], (...place) => at(1, "up", e, ...place)]],
        [`experts.${e}.w2`, [[CHANNELS, HIDDEN], (i, j) => at(1, "down", e, j, i)]],
      ]).flat(),
    ),
  },
};

async function written(entries: readonly TensorEntry[]) {
  const sink = new MemorySink();
  await writeSafetensors(sink, entries);
  await sink.commit();
  return new MemoryFolder("m", { "model.safetensors": sink.bytes });
}

for (const [name, { packing, stored }] of Object.entries(FORMS)) {
  const family: Family = { ...llama, packing };
  const where = { family, file: "m", description: "config.json" };

  Deno.test(`packing: ${name}: every value lies where it belongs, and is found there`, async () => {
    const plain = plainEntries(family);
    const entries = packedEntries(ARCHITECTURE, family, plain);
    const store = await openTensorStore(await written(entries));
    for (const [tensor, [shape, value]] of Object.entries(stored)) {
      const found = `model.layers.0.${tensor}`;
      assert.deepEqual(store.tensors.get(found)?.shape, shape, tensor);
      const places = shape.reduce(
        (found: number[][], length) =>
          found.flatMap((place) => Array.from({ length }, (_, i) => [...place, i])),
        [[]],
      );
      const wanted = Float32Array.from(places, (place) => value(...place));
      assert.deepEqual(await store.readFloat32(found), wanted, tensor);
    }
    const untouched = plain.length -
      packing.flatMap(({ weights }) => weights).filter((name) =>
        ARCHITECTURE.blocks.some(({ weights }) => weights.some((weight) => weight.name === name))
      ).length;
    assert.equal(store.tensors.size, Object.keys(stored).length + untouched);

    const opened = unpacked(ARCHITECTURE, store, where);
    assert.deepEqual(new Set(opened.tensors.keys()), new Set(plain.map(({ name }) => name)));
    for (const { name, shape, values } of plain) {
      assert.deepEqual(opened.tensors.get(name)!.shape, shape, name);
      assert.deepEqual(await opened.readFloat32(name), values, name);
    }
  });

  Deno.test(`packing: ${name}: a tensor that is missing, of another shape or no number is named`, async () => {
    const entries = packedEntries(ARCHITECTURE, family, plainEntries(family));
    const [[tensor, [shape]]] = Object.entries(stored);
    const inFile = `model.layers.0.${tensor}`;
    const changed = async (change: (entry: TensorEntry) => TensorEntry | null) => {
      const others = entries.flatMap((entry) =>
        entry.name === inFile ? change(entry) ?? [] : [entry]
      );
      const store = await openTensorStore(await written(others));
      assert.throws(() => unpacked(ARCHITECTURE, store, where), (error) => {
        assert.ok(error instanceof CheckpointFormatError, String(error));
        assert.ok(error.message.includes(`"${inFile}"`), error.message);
        message = error.message;
        return true;
      });
    };
    let message = "";
    await changed(() => null);
    assert.ok(
      message.includes(`missing; config.json declares it with shape [${shape.join(", ")}]`),
    );
    await changed((entry) => ({ ...entry, shape: [...shape.slice(1), shape[0]] }));
    assert.ok(message.includes(`config.json needs [${shape.join(", ")}]`), message);
    const [{ weights }] = packing;
    if (weights.length > 1) assert.ok(message.includes(`and ${weights.at(-1)}`), message);
    await changed((entry) => ({ ...entry, dtype: "I32" }));
    assert.ok(message.includes("its dtype is I32"), message);
  });
}

Deno.test("packing: a checkpoint in another way of its family is read, and a weight that is there twice is not", async () => {
  const [first, second] = Object.values(FORMS).map(({ packing }) => packing);
  const family: Family = {
    ...llama,
    packing: first,
    otherPackings: [[{ ...second[0], tensor: "x" }]],
  };
  const where = { family, file: "m", description: "config.json" };
  const plain = plainEntries(family);
  const other = packedEntries(
    ARCHITECTURE,
    { ...family, packing: family.otherPackings![0] },
    plain,
  );
  const store = await openTensorStore(await written(other));
  const opened = unpacked(ARCHITECTURE, store, where);
  for (const { name, values } of plain) assert.deepEqual(await opened.readFloat32(name), values);

  const twice = await openTensorStore(
    await written([...packedEntries(ARCHITECTURE, family, plain), plain[1]]),
  );
  assert.throws(() => unpacked(ARCHITECTURE, twice, where), /q_proj.weight.*does not declare/);
});

Deno.test("packing: weights of two dtypes lie together in float32, and experts of two are refused", async () => {
  const family: Family = { ...llama, packing: FORMS["experts, a tensor each (Mixtral)"].packing };
  const where = { family, file: "m", description: "config.json" };
  const entries = packedEntries(ARCHITECTURE, family, plainEntries(family));
  const mixed = entries.map((entry): TensorEntry =>
    entry.name.endsWith("experts.1.w3")
      ? {
        ...entry,
        dtype: "F16",
        data: () => Promise.resolve(new Uint8Array(2 * CHANNELS * HIDDEN)),
      }
      : entry
  );
  const store = await openTensorStore(await written(mixed));
  assert.throws(() => unpacked(ARCHITECTURE, store, where), /experts\.1\.w3.*F16.*F32/);

  const rows: Family = { ...llama, packing: FORMS["rows behind one another (Phi-3)"].packing };
  const halves = plainEntries(rows).map((entry): TensorEntry =>
    entry.name.endsWith("q_proj.weight")
      ? {
        ...{ ...entry, dtype: "F16" },
        data: () => Promise.resolve(new Uint8Array(Float16Array.from(entry.values).buffer)),
      }
      : entry
  );
  const packed = await openTensorStore(await written(packedEntries(ARCHITECTURE, rows, halves)));
  const opened = unpacked(ARCHITECTURE, packed, { ...where, family: rows });
  for (const { name, values } of plainEntries(rows)) {
    assert.deepEqual(await opened.readFloat32(name), values, name);
  }
});
