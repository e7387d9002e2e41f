import {
  type Block,
  type BlockSize,
  CheckpointFormatError,
  denseShape,
  type FloatDType,
  headsOf,
  outputProjection,
  type Ranking,
  sizeOf,
} from "@lopper/core";
import { FileFolder, ScratchFile } from "@lopper/files";
import { isHalf, type TensorStore, toFloat32 } from "@lopper/formats";
import { type Model, openModel, outerWeight, weightsOfBlock } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { recoded } from "../../tests/support/recoded.ts";
import {
  LIKE_LLAMA,
  Random,
  randomRanking,
  randomShape,
  tinyModel,
} from "../../tests/support/tiny_models.ts";
import { LaidOutWeights, type LoadOptions } from "./weight_layout.ts";
import { type WeightMemory, weightMemory } from "./weight_memory.ts";
import { Workspace } from "./workspace.ts";

const DEMO = fileURLToPath(new URL("../demo-model/data/model", import.meta.url));
const SEEDS = 60;
/** What experts read is tested with them. */
const DENSE = { experts: false } as const;

/** A random tiny model whose tensors are in F16, BF16 or F32, mixed or not. */
async function halfModel(random: Random): Promise<Model> {
  const dtypes: readonly FloatDType[] = random.pick([["F16"], ["BF16"], ["F16", "BF16", "F32"]]);
  return await recoded(await openModel(await tinyModel(random, DENSE)), () => random.pick(dtypes));
}

/** What each weight's rows (or, transposed, columns) run over. */
const SPANS: Record<string, { span: "channel" | "query" | "kv" | "head"; transposed?: true }> = {
  gate: { span: "channel" },
  up: { span: "channel" },
  gate_bias: { span: "channel" },
  up_bias: { span: "channel" },
  down: { span: "channel", transposed: true },
  q: { span: "query" },
  q_bias: { span: "query" },
  o: { span: "query", transposed: true },
  k: { span: "kv" },
  k_bias: { span: "kv" },
  v: { span: "kv" },
  v_bias: { span: "kv" },
  slopes: { span: "head" },
};

/** The same where norms of q and k are over all heads. */
const FULL_SPANS: typeof SPANS = {
  ...SPANS,
  q_norm: { span: "query" },
  k_norm: { span: "kv" },
};

/** The weights of a narrowed block, picked value by value from the checkpoint. */
async function picked(model: Model, ranking: Ranking, block: Block, size: BlockSize) {
  const { headDim } = model.architecture;
  const { queryHeads, kvHeads } = block.attention ? headsOf(block) : { queryHeads: 0, kvHeads: 1 };
  const heads = queryHeads / kvHeads;
  const width = { channel: 1, kv: headDim, query: headDim * heads, head: heads };
  const ranked = ranking[model.architecture.blocks.indexOf(block)]!;
  const units = block.attention
    ? ranked.kvGroups.slice(0, size.kvGroups)
    : ranked.channels.slice(0, size.channels);
  const found: Record<string, number[]> = {};
  for (const [name, tensor] of weightsOfBlock(model, block)) {
    const values = toFloat32(tensor.dtype, await model.store.readBytes(tensor.name));
    const [rows, columns = 1] = tensor.shape;
    const axis = model.family.qkNormOver === "all heads" ? FULL_SPANS[name] : SPANS[name];
    if (!axis) {
      found[name] = [...values];
      continue;
    }
    const indices = units.flatMap((unit) =>
      Array.from({ length: width[axis.span] }, (_, i) => unit * width[axis.span] + i)
    );
    found[name] = indices.flatMap((index) =>
      axis.transposed
        ? Array.from({ length: rows }, (_, row) => values[row * columns + index])
        : [...values.subarray(index * columns, (index + 1) * columns)]
    );
  }
  return found;
}

/** The values of a block as they are now; what they lie in may change later. */
async function values(weights: LaidOutWeights, number: number, size: BlockSize) {
  const found = await weights.block(number, size);
  return Object.fromEntries(found.map(({ name, data }) => [name, [...data]]));
}

/** Budgets of bytes that weights are loaded with. */
function roomsFor({ expanded, blocks }: WeightMemory): readonly LoadOptions[] {
  return [
    ...[0, Math.floor(expanded / 2), undefined].map((expandedBytes) => ({ expandedBytes })),
    { blockBytes: 0 },
    { blockBytes: Math.floor(0.7 * blocks), expandedBytes: Math.floor(expanded / 2) },
  ];
}

Deno.test("weights: blocks of any width are the checkpoint's values, whatever the budget", async () => {
  const met = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const random = new Random(seed);
    const model = await halfModel(random);
    const ranking = randomRanking(model.architecture, random);
    const memory = weightMemory(model);
    const narrow = Array.from({ length: 3 }, () => randomShape(model.architecture, random));
    const ids = Array.from({ length: 7 }, () => random.int(0, model.architecture.vocabSize - 1));
    const table = await model.store.readFloat32(outerWeight(model, "embedding").name);
    const head = await model.store.readFloat32(outerWeight(model, "lmHead").name);
    for (const { expandedBytes: budget, blockBytes } of roomsFor(memory)) {
      const room = { expandedBytes: budget, blockBytes };
      const weights = await LaidOutWeights.load(model, { ranking, ...room });
      const inMemory = weights.bytes - weights.expandedBytesHeld / 2;
      if (blockBytes === undefined) assert.equal(inMemory, memory.held, `seed ${seed}`);
      else {
        assert.ok(inMemory <= memory.held - memory.blocks + blockBytes, `seed ${seed}`);
        if (inMemory < memory.held) met.add(blockBytes === 0 ? "none in memory" : "some in memory");
      }
      for (const shape of [...narrow, denseShape(model.architecture.blocks)]) {
        for (const [number, size] of shape.entries()) {
          if (!size) continue;
          const expected = await picked(model, ranking, model.architecture.blocks[number], size);
          assert.deepEqual(
            await values(weights, number, size),
            expected,
            `seed ${seed}, ${budget}`,
          );
          for (const { name, rows } of await weights.block(number, size)) {
            assert.equal(expected[name].length % rows, 0);
          }
        }
        assert.deepEqual(weights.lmHead(), head);
      }
      const { hiddenSize } = model.architecture;
      const rows = ids.flatMap((id) => [...table.subarray(id * hiddenSize, (id + 1) * hiddenSize)]);
      assert.deepEqual([...weights.rowsOf(ids)], rows);
      assert.ok(weights.expandedBytesHeld <= (budget ?? Infinity));
      if (budget === undefined && blockBytes === undefined) {
        assert.equal(weights.expandedBytesHeld, memory.expanded);
      } else if (weights.expandedBytesHeld > 0) met.add("some kept");
      if (memory.expanded > 0 && budget === 0) met.add("none kept");
    }
    const dtypes = new Set(model.weights.map(({ tensor }) => tensor.dtype));
    met.add(dtypes.size > 1 ? "mixed" : [...dtypes][0]);
    met.add(model.architecture.tiedEmbeddings ? "tied" : "untied");
  }
  for (
    const trait of [
      "none in memory",
      "some in memory",
      "some kept",
      "none kept",
      "mixed",
      "F16",
      "BF16",
      "tied",
      "untied",
    ]
  ) {
    assert.ok(met.has(trait), `no seed had ${trait}`);
  }
});

Deno.test("weights: what is replaced stays, in whatever ranking and wherever the block is", async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const random = new Random(seed);
    const model = await halfModel(random);
    const { architecture } = model;
    const [before, after] = [0, 1].map(() => randomRanking(architecture, random));
    const shape = randomShape(architecture, random);
    const folder = await Deno.makeTempDir();
    await using workspace = new Workspace(0, () => ScratchFile.open(folder));
    const rooms = [{}, { expandedBytes: 0 }, { blockBytes: 0 }, { blockBytes: 0, workspace }];
    const loaded = rooms.map((room) => LaidOutWeights.load(model, { ranking: before, ...room }));
    const [inMemory, ...others] = await Promise.all(loaded);
    for (const [number, size] of shape.entries()) {
      if (!size) continue;
      const own = (await inMemory.output(number, size)).data;
      const values = Float32Array.from(own, () => random.int(-64, 64) / 8);
      const old = await inMemory.replaceOutput(number, size, values);
      for (const weights of others) {
        // The block is there, whole.
        await weights.block(number, size);
        assert.deepEqual(await weights.replaceOutput(number, size, values), old);
        const whole = await weights.block(number, size);
        const { name } = outputProjection(architecture.blocks[number]);
        const found = whole.find((weight) => weight.name === name)!.data;
        assert.deepEqual(found, values, `seed ${seed}`);
        assert.deepEqual((await weights.output(number, size)).data, values, `seed ${seed}`);
      }
    }
    for (const weights of [inMemory, ...others]) weights.rearrange(after);
    for (const [number, block] of architecture.blocks.entries()) {
      const wanted = await values(inMemory, number, sizeOf(block));
      for (const weights of others) {
        assert.deepEqual(await values(weights, number, sizeOf(block)), wanted, `seed ${seed}`);
      }
    }
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("weights: a block in the file is read once for all batches that go through it", async () => {
  const model = await openModel(new FileFolder(DEMO));
  const reads: string[] = [];
  const store: TensorStore = {
    tensors: model.store.tensors,
    readFloat32: (name) => model.store.readFloat32(name),
    readHalves: (name) => (reads.push(name), model.store.readHalves(name)),
    readBytes: (...of) => model.store.readBytes(...of),
    close: () => model.store.close(),
  };
  const weights = await LaidOutWeights.load({ ...model, store }, { blockBytes: 0 });
  const [first, second] = weights.architecture.blocks.map((block) => sizeOf(block));
  const readsOf = async (use: () => Promise<unknown>) => {
    reads.length = 0;
    await use();
    return reads.length;
  };
  const matrices = await readsOf(() => weights.block(0, first));
  assert.ok(matrices > 1);
  assert.equal(await readsOf(() => weights.block(0, first)), 0);
  assert.equal(await readsOf(() => weights.output(0, first)), 0, "nor a part of it");
  assert.equal(await readsOf(() => weights.output(1, second)), 1, "of another only that part");
  assert.equal(await readsOf(() => weights.block(0, first)), 0, "and the block is still there");
  assert.ok(await readsOf(() => weights.block(1, second)) > 1);
  assert.equal(await readsOf(() => weights.block(0, first)), matrices, "one is there at a time");
  weights.release();
  assert.equal(await readsOf(() => weights.block(0, first)), matrices);
  model[Symbol.dispose]();
});

/** The same model, whose store reads into room that it is given, as one of files does. */
function readingInto(model: Model, onRead: (name: string) => void | Promise<void>): Model {
  const store: TensorStore = {
    tensors: model.store.tensors,
    readFloat32: (name) => model.store.readFloat32(name),
    async readHalves(name, into) {
      const read = await model.store.readHalves(name);
      await onRead(name);
      const halves = into ? new Uint16Array(into.buffer, into.byteOffset, read.length) : read;
      halves.set(read);
      return halves;
    },
    readBytes: (...of) => model.store.readBytes(...of),
    close: () => {},
  };
  return { ...model, store };
}

/** The names of the matrices of a block. */
function matricesOf(model: Model, number: number): readonly string[] {
  return [...weightsOfBlock(model, model.architecture.blocks[number]).values()]
    .filter(({ shape }) => shape.length > 1).map(({ name }) => name);
}

Deno.test("weights: where blocks are read in their order, the next one is read ahead of its use", async () => {
  using opened = await openModel(new FileFolder(DEMO));
  using model = await recoded(opened, () => "BF16");
  const { blocks } = model.architecture;
  const [first, second, third, fourth] = [0, 1, 2, 3].map((number) => matricesOf(model, number));
  const reads: string[] = [], waiting: (() => void)[] = [];
  const source = readingInto(model, async (name) => {
    reads.push(name);
    if (name === fourth[0]) throw new Error("cannot be read");
    const later = (milliseconds: number) =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        setTimeout(resolve, milliseconds);
      });
    // What nobody waits for would be written when others of this block are there.
    if (third.includes(name)) await later(50);
    if (name !== first[0]) return;
    for (const go of waiting.splice(0)) go();
    await later(5);
  });
  const weights = await LaidOutWeights.load(source, { blockBytes: 0 });
  const held = await LaidOutWeights.load(model);
  const readFor = async (number: number) => {
    reads.length = 0;
    const size = sizeOf(blocks[number]);
    const found = await values(weights, number, size);
    const wanted = await values(held, number, size);
    // To list how large ones differ takes minutes.
    assert.ok(isDeepStrictEqual(found, wanted), `block ${number}`);
    return reads.toSorted();
  };
  const all = (...names: (readonly string[])[]) => names.flat().sort();
  assert.deepEqual(await readFor(0), all(first));
  assert.deepEqual(await readFor(1), all(second, third));
  // Somebody turns back before it is there.
  assert.deepEqual(await readFor(0), all(first));
  assert.deepEqual(await readFor(2), all(third), "not in their order");
  assert.deepEqual(await readFor(0), all(first));
  assert.deepEqual(await readFor(1), all(second, third));
  assert.deepEqual(await readFor(2), all(fourth), "what was read ahead");
  await assert.rejects(readFor(3), /cannot be read/);
});

Deno.test("weights: what is read into room that others take later stays what it is", async () => {
  const family = new URL("../../tests/fixtures/families/granitemoeshared", import.meta.url);
  using opened = await openModel(new FileFolder(fileURLToPath(family)));
  using model = await recoded(opened, () => "BF16");
  const weights = await LaidOutWeights.load(readingInto(model, () => {}), { blockBytes: 0 });
  const held = await LaidOutWeights.load(model);
  for (const [number, block] of model.architecture.blocks.entries()) {
    const size = sizeOf(block);
    assert.deepEqual(await values(weights, number, size), await values(held, number, size));
  }
});

Deno.test("weights: a float32 checkpoint is held as it is and never copied", async () => {
  const random = new Random(1);
  const model = await openModel(await tinyModel(random, { families: LIKE_LLAMA }));
  const { expanded, held, head, largestBlock } = weightMemory(model);
  assert.deepEqual([expanded, head, largestBlock, held], [0, 0, 0, model.weightBytes]);
  const ranking = randomRanking(model.architecture, random);
  const weights = await LaidOutWeights.load(model, { ranking, expandedBytes: 0 });
  assert.equal(weights.bytes, held);
  for (const [number, block] of model.architecture.blocks.entries()) {
    const size = sizeOf(block);
    assert.deepEqual(
      await values(weights, number, size),
      await picked(model, ranking, block, size),
    );
    const again = await weights.block(number, size);
    (await weights.block(number, size)).forEach(({ data }, i) =>
      assert.equal(data.buffer, again[i].data.buffer)
    );
  }
  assert.equal(weights.expandedBytesHeld, 0);
});

Deno.test("weights: memory is predicted from shapes and dtypes", async () => {
  const model = await openModel(new FileFolder(DEMO));
  const { hiddenSize: h, vocabSize, headDim, blocks, tiedEmbeddings } = model.architecture;
  assert.ok(tiedEmbeddings, "the head's copy is one of the embedding");
  assert.ok(model.weights.every(({ tensor }) => tensor.dtype === "F16"));
  const sizes = blocks.map((block) => {
    if (!block.attention) return 3 * sizeOf(block).channels * h;
    const { queryHeads, kvHeads } = headsOf(block);
    return (2 * queryHeads + 2 * kvHeads) * headDim * h;
  });
  const inBlocks = sizes.reduce((a, b) => a + b);
  const inNorms = (blocks.length + 1) * h;
  assert.deepEqual(weightMemory(model), {
    held: 2 * (inBlocks + vocabSize * h) + 4 * inNorms,
    expanded: 4 * (inBlocks + vocabSize * h),
    largestBlock: 4 * Math.max(...sizes),
    head: 4 * vocabSize * h,
    experts: 0,
    blocks: 2 * inBlocks + 4 * blocks.length * h,
    largestHeld: 2 * Math.max(...sizes) + 4 * h,
  });
  model[Symbol.dispose]();
});

/**
 * A model of several whole layers in one half-precision dtype, with a block that is smaller than
 * the head.
 */
async function layeredModel() {
  for (let seed = 0; seed < 500; seed++) {
    const model = await recoded(
      await openModel(await tinyModel(new Random(seed), DENSE)),
      () => "BF16",
    );
    const blocks = model.architecture.blocks;
    const smallest = Math.min(...blocks.map((block) => matrixBytes(model, block)));
    const { layerCount } = model.architecture;
    if (layerCount > 2 && blocks.length === 2 * layerCount && smallest < weightMemory(model).head) {
      return { model, blocks };
    }
  }
  throw new Error("no seed gives such a model");
}

/** float32 bytes of the matrices of a block. */
function matrixBytes(model: Model, block: Block): number {
  return [...weightsOfBlock(model, block).values()]
    .filter(({ shape }) => shape.length === 2)
    .reduce((sum, { shape: [rows, columns] }) => sum + 4 * rows * columns, 0);
}

Deno.test("weights: room for float32 goes to the head first, then to the last blocks, and stays there", async () => {
  const { model, blocks } = await layeredModel();
  const { head, held, expanded } = weightMemory(model);
  const load = (expandedBytes?: number) => LaidOutWeights.load(model, { expandedBytes });
  const late = blocks.slice(-2);
  const budget = head + late.reduce((sum, block) => sum + matrixBytes(model, block), 0);
  const weights = await load(budget);
  assert.equal(weights.expandedBytesHeld, budget);
  assert.equal(weights.bytes, held + budget / 2);
  const whole = (number: number) => weights.block(number, sizeOf(blocks[number]));
  /** Whether what was handed out stays as it is when all else is used. */
  const stays = async (out: readonly { readonly data: Float32Array }[]) => {
    const before = out.map(({ data }) => data.slice());
    for (const number of blocks.keys()) await whole(number);
    weights.lmHead();
    await whole(0);
    return out.every(({ data }, i) => data.every((x, j) => Object.is(x, before[i][j])));
  };
  for (let pass = 0; pass < 3; pass++) {
    assert.ok(await stays([{ data: weights.lmHead() }]));
    const kept: Block[] = [];
    for (const [number, block] of blocks.entries()) {
      if (number > 0 && await stays(await whole(number))) kept.push(block);
    }
    assert.deepEqual(kept, late);
  }

  assert.equal((await load(head)).expandedBytesHeld, head);
  const others = await load(head - 1);
  assert.ok(others.expandedBytesHeld > 0, "a head that finds no room leaves it to blocks");
  assert.ok(others.expandedBytesHeld < head);
  const all = await load();
  assert.equal(all.expandedBytesHeld, expanded);
  const untiedTable = model.architecture.tiedEmbeddings ? 0 : head / 2;
  // but for a norm that both blocks of a layer read
  const twice = blocks.filter(({ layer }, i) => blocks[i - 1]?.layer === layer).flatMap(
    ({ weights }) => weights.filter(({ shared }) => shared),
  ).length;
  const norms = 4 * model.architecture.hiddenSize * twice;
  assert.equal(all.bytes, 2 * model.weightBytes - untiedTable + norms, "float32 is held once");
});

Deno.test("weights: what is in float32 is a view at every width, and halves are expanded for the rows in use only", async () => {
  const { model, blocks } = await layeredModel();
  const number = blocks.findIndex(({ kind }) => kind === "mlp");
  const full = sizeOf(blocks[number]);
  const one = { channels: 1 };
  const all = await LaidOutWeights.load(model);
  const wide = await all.block(number, full);
  (await all.block(number, one)).forEach(({ data }, i) => {
    assert.equal(data.buffer, wide[i].data.buffer);
    assert.equal(data.byteOffset, wide[i].data.byteOffset);
  });

  const none = await LaidOutWeights.load(model, { expandedBytes: 0 });
  const matrices = async (size: BlockSize) =>
    (await none.block(number, size)).filter(({ name }) => ["gate", "up", "down"].includes(name));
  const expanded = await matrices(full);
  const { buffer } = expanded[0].data;
  const scratch = new Float32Array(buffer).fill(NaN);
  (await matrices(one)).forEach(({ data }, i) => {
    assert.equal(data.byteOffset, expanded[i].data.byteOffset, "it is there already");
  });
  assert.ok(scratch.every(Number.isNaN));
  none.lmHead();
  scratch.fill(NaN);
  const narrow = await matrices(one);
  for (const { data } of narrow) assert.equal(data.buffer, buffer);
  const rows = narrow.length * model.architecture.hiddenSize;
  assert.equal(scratch.filter((x) => !Number.isNaN(x)).length, rows);
  const { largestBlock, head } = weightMemory(model);
  assert.equal(buffer.byteLength, Math.max(largestBlock, head));
});

Deno.test("weights: NaN and infinity are refused in every dtype and role, with their place", async () => {
  const tiny = await openModel(await tinyModel(new Random(3), DENSE));
  const poison = { F16: [0x7e00, 0xfc00], BF16: [0x7fc0, 0xff80], F32: [0x7fc00000, 0xff800000] };
  const roles = new Set<string>();
  for (const dtype of ["F16", "BF16", "F32"] as const) {
    for (const { role, tensor: { name } } of tiny.weights) {
      for (const bits of poison[dtype]) {
        const size = isHalf(dtype) ? 2 : 4;
        const model = await recoded(tiny, () => dtype, (other, bytes) => {
          const view = new DataView(bytes.buffer);
          const end = bytes.byteLength - size;
          if (other === name && size === 2) view.setUint16(end, bits, true);
          else if (other === name) view.setUint32(end, bits, true);
          return bytes;
        });
        const { file, offset, byteLength } = model.store.tensors.get(name)!;
        await assert.rejects(LaidOutWeights.load(model), (error) => {
          assert.ok(error instanceof CheckpointFormatError, String(error));
          assert.deepEqual(error.location, {
            file,
            tensor: name,
            offset: offset + byteLength - size,
          });
          const value = bits === poison[dtype][0] ? "NaN" : "-Infinity";
          assert.match(error.message, new RegExp(`value ${byteLength / size - 1} is ${value};`));
          return true;
        });
        roles.add(role.part);
      }
    }
  }
  assert.ok(["embedding", "finalNorm"].every((part) => roles.has(part)) && roles.size > 2);
});

Deno.test("weights: ids outside the vocabulary and budgets that are no size are refused", async () => {
  const model = await openModel(await tinyModel(new Random(2), DENSE));
  const weights = await LaidOutWeights.load(model);
  const { vocabSize, hiddenSize } = model.architecture;
  for (const id of [-1, vocabSize, 0.5, NaN]) {
    const message = new RegExp(`token id ${id} is not in the vocabulary, 0 to ${vocabSize - 1}`);
    assert.throws(() => weights.rowsOf([0, id]), { name: "RangeError", message });
  }
  assert.equal(weights.rowsOf([0, vocabSize - 1]).length, 2 * hiddenSize);
  assert.equal(weights.rowsOf([]).length, 0);
  for (const expandedBytes of [-1, NaN]) {
    await assert.rejects(LaidOutWeights.load(model, { expandedBytes }), RangeError);
  }
});
