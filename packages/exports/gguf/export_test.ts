import {
  type Architecture,
  type Attention,
  attentionWindow,
  type Block,
  ExportError,
  fullyAttended,
  headsOf,
  keepLayers,
  type OuterScaling,
  sizeOf,
} from "@lopper/core";
import { FileFolder, FileSource } from "@lopper/files";
import { MemorySource, readGgufHeader } from "@lopper/formats";
import { type Model, openGgufModel, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  heterogeneousPlan,
  MemoryOutput,
  prunedInMemory,
} from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import type { GgufPrecision } from "../export.ts";
import { exportGguf } from "./export.ts";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures", import.meta.url));
const open = (family: string) => openModel(new FileFolder(`${FIXTURES}/families/${family}`));

/** A model exported and opened again, with what the export says of it. */
async function reopened(model: Model, precision: GgufPrecision) {
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  const written = await exportGguf(named, output.open, { title: "a tiny/model", precision });
  assert.deepEqual(Object.keys(output.files), ["a-tiny-model.gguf"]);
  const [bytes] = Object.values(output.files);
  return { written, bytes, again: await openGgufModel(new MemorySource("again.gguf", bytes)) };
}

Deno.test("GGUF export: models whose layers are alike are the same when they are opened again", async () => {
  const families = [
    ...["llama-mha", "llama-mqa", "llama-rope-linear", "mistral-sliding"],
    ...["mistral", "qwen2", "qwen2-untied-bf16", "qwen3", "qwen3-tied-mqa"],
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

/** Asserts that two files have tensors of the same names and shapes. */
async function sameTensors(found: Uint8Array, wanted: Uint8Array) {
  const [ours, theirs] = await Promise.all([found, wanted].map(async (bytes) => {
    const { tensors } = await readGgufHeader(new MemorySource("m.gguf", bytes), async () => {});
    return [...tensors.values()].map(({ name, shape }) => `${name} ${shape}`).sort();
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
    const { again, bytes } = await reopened(model, "fp32");
    if (converted.includes(name)) await sameTensors(bytes, await Deno.readFile(file));
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
    [changed(() => ({ activation: "relu" })), /its MLPs compute relu/],
    [changed(() => ({ multiplier: 0.3 })), /what its blocks add is multiplied/],
    [outer({ embedding: 3 }), /its embedding is multiplied with 3/],
    [outer({ logits: 0.1 }), /its logits are multiplied/],
    [outer({ unitHead: true }), /the rows of its LM head have length 1/],
  ];
  const mixed = await openGgufModel(
    await FileSource.open(`${FIXTURES}/gguf/families/qwen2_moe.gguf`),
  );
  const shared = { ...mixed, architecture: { ...mixed.architecture, family: "olmoe" } };
  const weighted = { ...mixed, architecture: { ...mixed.architecture, family: "qwen3_moe" } };
  const mixtures: typeof cases = [
    [shared, /its query heads share KV heads/],
    [weighted, /its experts are weighted otherwise/],
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
    const source = await open("llama-mha");
    const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    const { written, again } = await reopened(model, precision);
    assert.equal(written.architecture, "deci");
    const blocks = ({ architecture }: Model) =>
      architecture.blocks.map(({ id: _, layer: __, ...block }) => block);
    const zeroWidth = precision === "fp32" ? 1 : 32;
    const { hiddenSize } = model.architecture;
    // without what the mends added: the attention of layer 0, and the feed-forward at the end
    const own = blocks(again).slice(1, -1);
    assert.deepEqual(own, blocks(model));
    const { queryHeads, kvHeads } = headsOf(again.architecture.blocks[0]);
    assert.deepEqual([queryHeads, kvHeads], [1, 1]);
    assert.deepEqual(sizeOf(again.architecture.blocks.at(-1)!), { channels: zeroWidth });
    const down = again.weights.findLast(({ role }) => "layer" in role && role.weight === "down")!;
    assert.deepEqual(
      await again.store.readFloat32(down.tensor.name),
      new Float32Array(hiddenSize * zeroWidth),
    );
    source[Symbol.dispose]();
  }
});

Deno.test("GGUF export: what llama.cpp has no architecture for is refused with the way out", async () => {
  for (const [family, what] of [["qwen2", "biases"], ["qwen3", "norms"]]) {
    const source = await open(family);
    const model = await prunedInMemory(source, heterogeneousPlan(source.architecture));
    await assert.rejects(
      reopened(model, "fp32"),
      (error) =>
        error instanceof ExportError && error.message.includes(what) &&
        error.message.includes("--to onnx"),
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
  const odd = await open("llama-odd-head");
  await assert.rejects(reopened(odd, "fp32"), /biases and do not fill the hidden size.*--to onnx/);
  odd[Symbol.dispose]();
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
        /llama-mha\/model.*o_proj\.weight": value \d+ is -?[\d.]+, and Q[48]_0 ends at 65504/
          .test(error.message),
    );
  }
  source[Symbol.dispose]();
});
