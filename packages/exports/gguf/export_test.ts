import {
  allKept,
  type Architecture,
  type Attention,
  attentionWindow,
  type Block,
  ExportError,
  fullyAttended,
  headsOf,
  keepLayers,
  type LongRopeScaling,
  type OuterScaling,
  planOfKept,
  sizeOf,
  type YarnScaling,
} from "@lopper/core";
import { FileFolder, FileSource } from "@lopper/files";
import { MemorySource, readGgufHeader } from "@lopper/formats";
import { type Model, openGgufModel, openModel, weightsOfBlock } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  heterogeneousPlan,
  MemoryOutput,
  prunedInMemory,
  uniformPlan,
} from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import type { GgufPrecision } from "../export.ts";
import { exportGguf } from "./export.ts";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures", import.meta.url));
const open = (family: string) => openModel(new FileFolder(`${FIXTURES}/families/${family}`));

/** Asserts what llama.cpp needs of what it adds to activations, or multiplies them with. */
async function hasVectorsInF32(bytes: Uint8Array) {
  const { tensors } = await readGgufHeader(new MemorySource("m.gguf", bytes), async () => {});
  const vectors = [...tensors.values()].filter(({ shape }) => shape.length === 1);
  const others = vectors.filter(({ type }) => type.name !== "F32").map(({ name }) => name);
  assert.deepEqual(others, []);
}

/** A model exported and opened again, with what the export says of it. */
async function reopened(model: Model, precision: GgufPrecision) {
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  const written = await exportGguf(named, output.open, { title: "a tiny/model", precision });
  assert.deepEqual(Object.keys(output.files), ["a-tiny-model.gguf"]);
  const [bytes] = Object.values(output.files);
  await hasVectorsInF32(bytes);
  return { written, bytes, again: await openGgufModel(new MemorySource("again.gguf", bytes)) };
}

Deno.test("GGUF export: models whose layers are alike are the same when they are opened again", async () => {
  const families = [
    ...["llama-mha", "llama-mqa", "llama-rope-linear", "mistral-sliding"],
    ...["mistral", "qwen2", "qwen2-untied-bf16", "qwen3", "qwen3-tied-mqa", "llama-odd-head"],
  ];
  for (const family of families) {
    const model = await open(family);
    const { written, again } = await reopened(model, "fp32");
    assert.match(written.architecture, /^(llama|qwen[23])$/);
    // GGUF tells Mistral from Llama by its window only; the tokenizer of this test has no token
    // that ends a text
    const plain = (architecture: Architecture) => ({
      ...architecture,
      family: fullyAttended(architecture) === null
        ? architecture.family.replace("mistral", "llama")
        : architecture.family,
      eosTokenIds: [],
    });
    assert.deepEqual(plain(again.architecture), plain(model.architecture));
    for (const { tensor } of model.weights) {
      const [wanted, found] = await Promise.all(
        [model, again].map(({ store }) => store.readFloat32(tensor.name)),
      );
      assert.deepEqual(found, wanted, `${family} ${tensor.name}`);
    }
    model[Symbol.dispose]();
  }
});

/** Asserts that two files have tensors of the same names, shapes and types. */
async function sameTensors(found: Uint8Array, wanted: Uint8Array) {
  const [ours, theirs] = await Promise.all([found, wanted].map(async (bytes) => {
    const { tensors } = await readGgufHeader(new MemorySource("m.gguf", bytes), async () => {});
    // To llama.cpp axes of length 1 behind the others are none.
    const axes = (shape: readonly number[]) => String(shape).replace(/^(1,)+/, "");
    return [...tensors.values()]
      .map(({ name, shape, type }) => `${name} ${axes(shape)} ${type.name}`)
      .sort();
  }));
  assert.deepEqual(ours, theirs);
}

Deno.test("GGUF export: what is opened from GGUF is the same when it is exported and opened again", async () => {
  const converted = [...Deno.readDirSync(`${FIXTURES}/gguf/families`)].flatMap(({ name }) =>
    name.endsWith(".gguf") ? [`families/${name}`] : []
  );
  const made = ["gemma3", "llama-mixed", "qwen3"].map((name) => `models/${name}.gguf`);
  assert.ok(converted.length > 5);
  for (const name of [...made, ...converted]) {
    const file = `${FIXTURES}/gguf/${name}`;
    const model = await openGgufModel(await FileSource.open(file));
    const { again } = await reopened(model, "fp32");
    if (converted.includes(name)) {
      const { bytes } = await reopened(model, "fp16");
      await sameTensors(bytes, await Deno.readFile(file));
    }
    assert.deepEqual(again.architecture, { ...model.architecture, eosTokenIds: [] });
    for (const { tensor } of model.weights) {
      const [wanted, found] = await Promise.all(
        [model, again].map(({ store }) => store.readFloat32(tensor.name)),
      );
      assert.deepEqual(found, wanted, `${name} ${tensor.name}`);
    }
    model[Symbol.dispose]();
  }
});

Deno.test("GGUF export: which layers have a window is a list where llama.cpp would take others", async () => {
  const model = await openGgufModel(await FileSource.open(`${FIXTURES}/gguf/models/gemma3.gguf`));
  const kept = [0, 1, 2, 4, 5];
  const fewer = keepLayers(model.architecture, kept);
  const shorter: Architecture = {
    ...fewer,
    blocks: fewer.blocks.map((block) => {
      const { attention } = block;
      // A base that is not the usual one.
      return attention?.window && attention.rope
        ? { ...block, attention: { ...attention, rope: { ...attention.rope, theta: 5000 } } }
        : block;
    }),
  };
  const layerOf = (layer: number) => kept.indexOf(layer);
  const weights = model.weights.flatMap((weight) => {
    if (!("layer" in weight.role)) return [weight];
    const layer = layerOf(weight.role.layer);
    return layer < 0 ? [] : [{ ...weight, role: { ...weight.role, layer } }];
  });
  const { again } = await reopened({ ...model, architecture: shorter, weights }, "fp32");
  assert.deepEqual(again.architecture.blocks, shorter.blocks);
  const windows = [0, 1, 2, 3, 4].map((layer) => attentionWindow(again.architecture, layer));
  assert.deepEqual(windows, [8, 8, 8, 8, null]);
  model[Symbol.dispose]();
});

const YARN: YarnScaling = {
  ...{ type: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true },
  ...{ originalMaxPositions: 16, attentionFactor: 1 },
};
const LONG: LongRopeScaling = {
  ...{ type: "longrope", shortFactors: [1, 1], longFactors: [2, 2] },
  ...{ originalMaxPositions: 16, attentionFactor: 1 },
};

Deno.test("GGUF export: what no key of the architecture says is refused by name", async () => {
  const model = await openGgufModel(await FileSource.open(`${FIXTURES}/gguf/models/gemma3.gguf`));
  const changed = (change: (block: Block) => Partial<Block>): Model => ({
    ...model,
    architecture: {
      ...model.architecture,
      blocks: model.architecture.blocks.map((block) => ({ ...block, ...change(block) })),
    },
  });
  const attention = (change: Partial<Attention>) =>
    changed((block) => block.attention ? { attention: { ...block.attention, ...change } } : {});
  const { scaling } = model.architecture;
  const outer = (change: Partial<OuterScaling>): Model => ({
    ...model,
    architecture: { ...model.architecture, scaling: { ...scaling, ...change } },
  });
  const cases: readonly (readonly [Model, RegExp])[] = [
    [attention({ scale: 0.5 }), /its scores are multiplied with 0\.5/],
    [attention({ softCap: 50 }), /its scores have a cap/],
    [attention({ rope: null }), /other layers rotate nothing/],
    [attention({ rope: { theta: 1, scaling: null, channels: 8 } }), /rotates a part of each head/],
    [
      attention({ rope: { theta: 1, scaling: null, pairs: "neighbours" } }),
      /rotates neighbouring channels/,
    ],
    [
      attention({ rope: { theta: 1, scaling: { ...YARN, betaSlow: 2 } } }),
      /between 32 and 2 turns/,
    ],
    [
      attention({ rope: { theta: 1, scaling: { ...YARN, truncate: false } } }),
      /the band in which YaRN blends .* ends elsewhere/,
    ],
    [attention({ rope: { theta: 1, scaling: YARN } }), /layers with a window are scaled/],
    [attention({ rope: { theta: 1, scaling: LONG } }), /frequencies are those of longrope/],
    [changed(() => ({ activation: "relu" })), /its MLPs compute relu/],
    [changed(() => ({ multiplier: 0.3 })), /what its blocks add is multiplied/],
    [outer({ embedding: 3 }), /its embedding is multiplied with 3/],
    [outer({ logits: 0.1 }), /its logits are multiplied/],
  ];
  const mixed = await openGgufModel(
    await FileSource.open(`${FIXTURES}/gguf/families/qwen2_moe.gguf`),
  );
  const shared = { ...mixed, architecture: { ...mixed.architecture, family: "olmoe" } };
  const weighted = { ...mixed, architecture: { ...mixed.architecture, family: "qwen3_moe" } };
  const mixtures: typeof cases = [
    [shared, /its query heads share KV heads/],
    [weighted, /its experts are weighted otherwise/],
    [await open("gpt_oss"), /gate and up of its experts go together otherwise/],
  ];
  for (const [changedModel, message] of [...cases, ...mixtures]) {
    await assert.rejects(reopened(changedModel, "fp32"), (error) => {
      assert.ok(error instanceof ExportError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  model[Symbol.dispose]();
});

Deno.test("GGUF export: layers that differ are of deci, and the blocks keep their weights and their order", async () => {
  for (const precision of ["fp32", "q8_0"] as const) {
    for (const family of ["llama-mha", "qwen2", "llama-rope-yarn"]) {
      const source = await open(family);
      const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
      const { written, again } = await reopened(model, precision);
      assert.equal(written.architecture, "deci");
      assert.equal(again.architecture.family, source.architecture.family);
      // without what the mends added: the attention of layer 0, and the feed-forward at the end
      const last = source.architecture.layerCount > 2 ? -1 : undefined;
      assert.deepEqual(plainBlocks(again).slice(1, last), plainBlocks(model));
      await addsNothing(again, 0, precision);
      if (last) await addsNothing(again, again.architecture.blocks.length - 1, precision);
      source[Symbol.dispose]();
    }
  }
});

Deno.test("GGUF export: weights of deci take over multipliers, and an embedding becomes two where each has its own", async () => {
  const source = await open("granite");
  const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
  const { tiedEmbeddings, scaling } = model.architecture;
  assert.ok(tiedEmbeddings && scaling?.embedding && scaling.logits);
  const { written, again } = await reopened(model, "fp32");
  assert.equal(written.architecture, "deci");
  assert.match(written.notes!.join(), /is in its weights, since deci .* two matrices now/);
  assert.deepEqual([again.architecture.tiedEmbeddings, again.architecture.scaling], [
    false,
    undefined,
  ]);
  const values = (of: Model, part: string) => {
    const { tensor } = of.weights.find(({ role }) => role.part === part)!;
    return of.store.readFloat32(tensor.name);
  };
  const rows = await values(model, "embedding");
  assert.deepEqual(await values(again, "embedding"), rows.map((x) => scaling.embedding! * x));
  assert.deepEqual(await values(again, "lmHead"), rows.map((x) => scaling.logits! * x));
  source[Symbol.dispose]();
});

Deno.test("GGUF export: layers that differ and have norms of queries and keys are of openelm", async () => {
  for (const precision of ["fp32", "q8_0"] as const) {
    const source = await open("qwen3-tied-mqa");
    const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    const { written, again } = await reopened(model, precision);
    assert.equal(written.architecture, "openelm");
    assert.equal(again.architecture.family, "qwen3");
    assert.deepEqual(plainBlocks(again).slice(1), plainBlocks(model));
    await addsNothing(again, 0, precision);
    source[Symbol.dispose]();
  }
  const source = await open("qwen3-tied-mqa");
  // No layer of it may lack attention, wherever it is.
  const plan = planOfKept(
    source.architecture,
    allKept(source.architecture.blocks).map((units, i) => i === 2 ? null : units),
    { modelDigest: "", removalOrder: [] },
  );
  const { again } = await reopened(await prunedInMemory(source, plan), "fp32");
  await addsNothing(again, 2, "fp32");
  assert.equal(again.architecture.blocks.length, 4);
  source[Symbol.dispose]();
});

/** Blocks but for their places. */
function plainBlocks({ architecture }: Model) {
  return architecture.blocks.map(({ id: _, layer: __, ...block }) => block);
}

/** Asserts that a block is as small as one can be, and adds zeros. */
async function addsNothing(model: Model, number: number, precision: GgufPrecision) {
  const block = model.architecture.blocks[number];
  if (block.attention) {
    const { queryHeads, kvHeads } = headsOf(block);
    assert.deepEqual([queryHeads, kvHeads], [1, 1]);
  } else assert.deepEqual(sizeOf(block), { channels: precision === "fp32" ? 1 : 32 });
  const weights = weightsOfBlock(model, block);
  for (const [name, { name: tensor, shape }] of weights) {
    const values = await model.store.readFloat32(tensor);
    const one = name.endsWith("norm") ? 1 : 0;
    assert.deepEqual(values, new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(one), name);
  }
}

Deno.test("GGUF export: heads that do not fill the hidden size are of deci where the family's own needs that", async () => {
  for (const family of ["qwen2", "phi3"]) {
    const source = await open(family);
    const model = await prunedInMemory(source, uniformPlan(source.architecture, 1, 24));
    const { written, again } = await reopened(model, "fp32");
    assert.equal(written.architecture, "deci");
    assert.deepEqual(plainBlocks(again), plainBlocks(model));
    source[Symbol.dispose]();
  }
});

Deno.test("GGUF export: what llama.cpp goes by the number of layers for", async () => {
  const converted = (name: string) =>
    FileSource.open(`${FIXTURES}/gguf/families/${name}.gguf`).then(openGgufModel);
  // It rotates in Baichuans of 32 layers alone, and a deci is a Llama of any number.
  const baichuan = await converted("baichuan");
  assert.equal((await reopened(baichuan, "fp32")).written.architecture, "baichuan");
  const fewer = await open("baichuan");
  assert.equal((await reopened(fewer, "fp32")).written.architecture, "deci");
  // Scores fall by distance in those of 40 layers alone.
  const sloped = await converted("baichuan-alibi");
  const { written, again } = await reopened(sloped, "fp32");
  assert.equal(written.architecture, "baichuan");
  assert.deepEqual(again.architecture.blocks, sloped.architecture.blocks);
  const short = await open("baichuan-alibi");
  await assert.rejects(reopened(short, "fp32"), /it does not have 40 layers, and llama\.cpp/);
  const exaone = await converted("exaone4-windows");
  const architecture = keepLayers(exaone.architecture, Array.from({ length: 63 }, (_, i) => i));
  await assert.rejects(
    reopened({ ...exaone, architecture }, "fp32"),
    /some of its layers have a window, and llama\.cpp/,
  );
  for (const model of [baichuan, fewer, sloped, short, exaone]) model[Symbol.dispose]();
});

Deno.test("GGUF export: what llama.cpp has no architecture for is refused with the way out", async () => {
  const cases = [
    ["qwen3", /layers differ in shape and its LM head is not its embedding.*--to onnx/],
    ["olmo2", /layers differ in shape and it has norms behind its blocks.*--to onnx/],
    ["arcee", /layers differ in shape and it has blocks that are put together.*--to onnx/],
    [
      "hunyuan_v1_dense",
      /differ in shape and it has norms of queries and keys behind the rotation/,
    ],
    ["baichuan-alibi", /layers differ in shape and it has scores that fall by distance.*--to onnx/],
  ] as const;
  for (const [family, message] of cases) {
    const source = await open(family);
    const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    await assert.rejects(
      reopened(model, "fp32"),
      (error) => error instanceof ExportError && message.test(error.message),
    );
    source[Symbol.dispose]();
  }
  const llama = await open("llama-mha");
  const unknown = { ...llama, architecture: { ...llama.architecture, family: "opt" } };
  await assert.rejects(
    reopened(unknown, "fp32"),
    /llama, mistral, qwen2, qwen3, .*, and it is opt/,
  );
  llama[Symbol.dispose]();
  const normed = await open("stablelm-qk-norm");
  await assert.rejects(
    reopened(normed, "fp32"),
    /each head has norms of queries and keys of its own/,
  );
  normed[Symbol.dispose]();
});

Deno.test("GGUF export: what float16 cannot hold is refused in blocks, too, by its name in the source", async () => {
  const source = await open("llama-mha");
  const { store } = source;
  const readFloat32 = async (name: string) => {
    const values = await store.readFloat32(name);
    return name.endsWith("o_proj.weight") ? values.map((value) => 1e6 * value) : values;
  };
  const changed = {
    tensors: store.tensors,
    readBytes: (...of: Parameters<typeof store.readBytes>) => store.readBytes(...of),
    readHalves: (name: string) => store.readHalves(name),
    readFloat32,
    close() {},
  };
  for (const precision of ["q8_0", "q4_0"] as const) {
    await assert.rejects(
      reopened({ ...source, store: changed }, precision),
      (error) =>
        error instanceof ExportError &&
        /llama-mha\/model.*o_proj\.weight": value \d+ is -?[\d.]+, and Q[48]_0 ends at 65\d\d\d/
          .test(error.message),
    );
  }
  source[Symbol.dispose]();
});
