import { type Backend, openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import { MemorySource } from "@lopper/formats";
import { type CalibrationSet, parseSamples } from "@lopper/importance";
import { type Model, openGgufModel, openModel, type Weight } from "@lopper/models";
import { streamedLogits } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput } from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import { compareLogits } from "../compare_logits.ts";
import { exportGguf } from "../gguf/export.ts";
import { gridOf } from "../gguf/tensor_type.ts";
import { BlockRounder, type Learnt } from "./block_rounder.ts";
import { roundingSet } from "./rounding_text.ts";

const DATA = new URL("../../demo-model/data/", import.meta.url);
const FAMILIES = new URL("../../../tests/fixtures/families/", import.meta.url);
const open = (url: URL) => openModel(new FileFolder(fileURLToPath(url)));

function test(name: string, use: (backend: Backend) => Promise<void>) {
  const fn = async () => {
    const { backend } = await openBackend("cpu", { threads: 1 });
    try {
      await use(backend);
    } finally {
      await backend[Symbol.asyncDispose]();
    }
  };
  // The engine keeps a thread pool for the life of the process.
  Deno.test({ name: `rounding: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

async function exported(model: Model, learnt?: Learnt) {
  const output = new MemoryOutput();
  const { notes } = await exportGguf(model, output.open, { title: "m", precision: "q4_0", learnt });
  return { bytes: Object.values(output.files)[0], notes };
}

test("what a model says of other text is nearer to it than with every value by itself", async (backend) => {
  using model = await open(new URL("model/", DATA));
  const samples = parseSamples(
    await Deno.readTextFile(new URL("calibration.jsonl", DATA)),
    "c.jsonl",
  );
  const all = await roundingSet(model, { name: "c.jsonl", samples, backend });
  const text = { ...all, sequences: all.sequences.slice(0, 8) };
  using tokenizer = await openTokenizer(model.folder);
  const ids = (await tokenizer.encode(await Deno.readTextFile(new URL("held_out.txt", DATA))))
    .slice(0, 256);
  const blocks: number[] = [];
  const onBlock = (block: number) => void blocks.push(block);
  const found = await exported(model, { backend, text, onBlock });
  assert.deepEqual(blocks, model.architecture.blocks.map((_, i) => i));
  assert.deepEqual(found.notes, [
    `84 matrices were rounded by GPTQ on ${8 * all.length} tokens of text`,
  ]);
  const [own, nearest] = [found, await exported(model)];
  assert.equal(own.bytes.length, nearest.bytes.length);
  const dense = await streamedLogits(backend, model, ids);
  const divergences = [];
  for (const { bytes } of [own, nearest]) {
    using again = await openGgufModel(new MemorySource("m.gguf", bytes));
    const logits = await streamedLogits(backend, again, ids);
    divergences.push(compareLogits(dense, logits, model.architecture.vocabSize).meanKl);
  }
  assert.ok(divergences[0] < 0.7 * divergences[1], `${divergences}`);
  assert.deepEqual(
    (await exported(model, { backend, text })).bytes,
    own.bytes,
    "not the same twice",
  );
});

/** A few tokens that every tiny model has. */
const TOKENS: CalibrationSet = {
  sequences: [0, 1, 2, 3].map((s) =>
    Array.from({ length: 32 }, (_, i) => (7 * i * s + i + s) % 60)
  ),
  length: 32,
  ignoredLabel: null,
  digest: "sha256:0",
};

test("experts are rounded to the nearest, and the export says so", async (backend) => {
  using source = await open(new URL("qwen2_moe/", FAMILIES));
  const model = { ...source, folder: withTokenizer(source) };
  const { notes } = await exported(model, { backend, text: TOKENS });
  assert.match(
    notes!.join("\n"),
    /^\d+ matrices were rounded by GPTQ .*, \d+ of experts to the nearest/m,
  );
});

test("layers are asked for in their order, and a stop is heard before a block", async (backend) => {
  using model = await open(new URL("llama-mha/", FAMILIES));
  const weights = model.weights.filter(({ role, tensor }) =>
    "layer" in role && role.weight === "q" && tensor.shape.length === 2
  );
  const task = {
    model,
    backend,
    text: TOKENS,
    typeOf: (w: Weight) => gridOf(w, model, "Q4_0"),
  };
  await using rounder = new BlockRounder(task);
  assert.ok(await rounder.bytesOf(weights[1]));
  await assert.rejects(rounder.bytesOf(weights[0]), TypeError);
  const onBlock = () => {
    throw new Error("stopped");
  };
  await using stopped = new BlockRounder({ ...task, onBlock });
  await assert.rejects(stopped.bytesOf(weights[0]), /^Error: stopped$/);
});

test("inputs come from what is rounded already, in layers before and in the block itself", async (backend) => {
  using model = await open(new URL("llama-mha/", FAMILIES));
  const weightOf = (layer: number, name: string) =>
    model.weights.find(({ role }) =>
      "layer" in role && role.layer === layer && role.weight === name
    )!;
  const bytesOf = async (weight: Weight, isRounded: (weight: Weight) => boolean) => {
    const typeOf = (w: Weight) => isRounded(w) ? gridOf(w, model, "Q4_0") : null;
    await using rounder = new BlockRounder({ model, backend, text: TOKENS, typeOf });
    return await rounder.bytesOf(weight);
  };
  for (
    const [weight, before] of [
      [weightOf(1, "q"), weightOf(0, "up")],
      [weightOf(0, "o"), weightOf(0, "v")],
    ]
  ) {
    const all = await bytesOf(weight, () => true);
    assert.deepEqual(await bytesOf(weight, () => true), all);
    assert.notDeepEqual(await bytesOf(weight, (w) => w.tensor.name !== before.tensor.name), all);
  }
});

test("values of attention keep their errors, whatever the text", async (backend) => {
  using model = await open(new URL("llama-mha/", FAMILIES));
  const other = { ...TOKENS, sequences: TOKENS.sequences.map((ids) => ids.map((id) => id >> 1)) };
  const typeOf = (w: Weight) => gridOf(w, model, "Q4_0");
  const found = new Map<string, (Uint8Array | null)[]>();
  for (const text of [TOKENS, other]) {
    await using rounder = new BlockRounder({ model, backend, text, typeOf });
    for (const weight of model.weights) {
      const { role } = weight;
      if (!("layer" in role) || role.layer > 0 || role.part !== "attention") continue;
      if (weight.tensor.shape.length < 2) continue;
      const bytes = await rounder.bytesOf(weight);
      found.set(role.weight, [...found.get(role.weight) ?? [], bytes]);
    }
  }
  assert.deepEqual(found.get("v")![0], found.get("v")![1]);
  assert.notDeepEqual(found.get("q")![0], found.get("q")![1]);
});
