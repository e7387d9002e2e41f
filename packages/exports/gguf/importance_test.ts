import {
  allKept,
  ExportError,
  type KeptByBlock,
  planOfKept,
  type PrunePlan,
  sizeOf,
} from "@lopper/core";
import { FileSource } from "@lopper/files";
import { type ImportanceMatrix, MemorySource, readImportanceMatrix } from "@lopper/formats";
import { type Model, modelDigest, openGgufModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput, prunedInMemory } from "../../../tests/support/heterogeneous.ts";
import { withTokenizer } from "../../../tests/support/with_tokenizer.ts";
import { exportGguf } from "./export.ts";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/gguf", import.meta.url));
const FORMS = ["gguf", "dat"] as const;
const bytesOf = (name: string) => Deno.readFile(`${FIXTURES}/imatrix/${name}`);
const matrixOf = async (name: string) =>
  await readImportanceMatrix(new MemorySource(name, await bytesOf(name)));
const open = async (model: string) =>
  openGgufModel(await FileSource.open(`${FIXTURES}/${model}.gguf`));

/** What is written beside a model, read again. */
async function written(model: Model, matrix: ImportanceMatrix, plan: PrunePlan | null) {
  const output = new MemoryOutput();
  const named = { ...model, folder: withTokenizer(model) };
  const { files, notes } = await exportGguf(named, output.open, {
    ...{ title: "t", precision: "fp32", importance: { file: "m", matrix, plan } },
  });
  assert.deepEqual(files.slice(0, 2), ["t.gguf", "t.imatrix"]);
  const bytes = output.files["t.imatrix"];
  return { bytes, notes, matrix: await readImportanceMatrix(new MemorySource("t", bytes)) };
}

async function pruned(source: Model, kept: KeptByBlock) {
  const digest = await modelDigest(source);
  const plan = planOfKept(source.architecture, kept, { modelDigest: digest, removalOrder: [] });
  return { plan, model: await prunedInMemory(source, plan) };
}

Deno.test("importance matrices of llama.cpp: written again as they were read, in both forms", async () => {
  for (const [name, model] of [["llama-mixed", "models"], ["olmoe", "families"]]) {
    using source = await open(`${model}/${name}`);
    for (const form of FORMS) {
      const { bytes, notes, matrix } = await written(
        source,
        await matrixOf(`${name}.${form}`),
        null,
      );
      assert.equal(notes, undefined);
      assert.deepEqual(matrix, await matrixOf(`${name}.${form}`));
      if (form === "dat") assert.deepEqual(bytes, await bytesOf(`${name}.dat`));
    }
  }
});

Deno.test("importance matrices of llama.cpp: inputs that went are gone, and layers have their new numbers", async () => {
  using source = await open("models/llama-mixed");
  const { blocks } = source.architecture;
  const channels = Array.from({ length: 64 }, (_, c) => c).filter((c) => c % 3 !== 0);
  const kept = allKept(blocks).map((_, i): KeptByBlock[number] => {
    const { kind, layer } = blocks[i];
    if (layer === 0) return null;
    return kind === "attention" ? { kvGroups: [1] } : { channels };
  });
  const { plan, model } = await pruned(source, kept);
  for (const form of FORMS) {
    const before = await matrixOf(`llama-mixed.${form}`);
    const { matrix: { entries, metadata, ending } } = await written(model, before, plan);
    assert.deepEqual([metadata, ending], [before.metadata, before.ending]);
    const own = [...before.entries.keys()].filter((name) => name.startsWith("blk.1."));
    assert.deepEqual([...entries.keys()], own.map((name) => name.replace("blk.1.", "blk.0.")));
    for (const [name, { squares, sums, counts }] of entries) {
      const old = before.entries.get(name.replace("blk.0.", "blk.1."))!;
      // Two KV groups with 16 query channels each.
      const places = /ffn_down/.test(name)
        ? channels
        : Array.from({ length: name.includes("attn_output") ? 16 : 32 }, (_, i) =>
          name.includes("attn_output") ? 16 + i : i);
      const values = places.map((place) => old.squares[place]);
      assert.deepEqual([...squares], values, name);
      assert.deepEqual(sums && [...sums], form === "gguf" ? values.map((v) => -v) : undefined);
      assert.deepEqual(counts, old.counts);
    }
  }
});

Deno.test("importance matrices of llama.cpp: matrices of zeros have entries, too", async () => {
  using source = await open("models/llama-mixed");
  const { blocks } = source.architecture;
  const kept = allKept(blocks).map((units, i) => {
    const first = blocks[i].layer === 0;
    return first === (blocks[i].kind === "attention") ? null : units;
  });
  const { plan, model } = await pruned(source, kept);
  const { matrix: { entries } } = await written(model, await matrixOf("llama-mixed.dat"), plan);
  const layer = (number: number) =>
    [...entries.keys()].filter((name) => name.startsWith(`blk.${number}.`)).map((name) =>
      name.slice("blk.0.".length, -".weight".length)
    );
  const all = ["attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"];
  // An MLP comes first, and nothing behind the attention.
  assert.deepEqual([layer(0), layer(1)], [all, all]);
  assert.ok(entries.get("blk.0.attn_q.weight")!.squares.every((value) => value === 1));
  assert.equal(Math.floor(entries.get("blk.1.attn_q.weight")!.squares[1]), 1001);
});

Deno.test("importance matrices of llama.cpp: experts that went are gone, with what they have seen", async () => {
  using source = await open("families/olmoe");
  const { channels } = sizeOf(source.architecture.blocks[1]);
  const kept = allKept(source.architecture.blocks).map((units, i) =>
    source.architecture.blocks[i].kind === "experts"
      ? { experts: [1, 3], channels: [0, 1, 1, 2].map((own, e) => e * channels + own) }
      : units
  );
  const { plan, model } = await pruned(source, kept);
  for (const form of FORMS) {
    const before = await matrixOf(`olmoe.${form}`);
    const { matrix: { entries } } = await written(model, before, plan);
    assert.equal(entries.size, before.entries.size);
    for (const [name, { squares, counts }] of entries) {
      const old = before.entries.get(name)!;
      if (!name.includes("_exps")) assert.deepEqual(squares, old.squares);
      else {
        const width = old.squares.length / 4;
        const part = (
          expert: number,
        ) => [...old.squares.slice(expert * width, (expert + 1) * width)];
        // Those that experts lost are inputs of one of their matrices.
        const wanted = name.includes("ffn_down")
          ? [part(1)[1], part(3)[2]]
          : [...part(1), ...part(3)];
        assert.deepEqual([...squares], wanted, name);
        assert.deepEqual([...counts], form === "gguf" ? [11, 13] : [3]);
      }
    }
  }
});

Deno.test("importance matrices of llama.cpp: those of other models are refused, and what they leave out is said", async () => {
  using source = await open("models/llama-mixed");
  const whole = await matrixOf("llama-mixed.gguf");
  const refused = (
    matrix: ImportanceMatrix,
    plan: PrunePlan | null,
    message: RegExp,
    model = source,
  ) =>
    assert.rejects(written(model, matrix, plan), (error) => {
      assert.ok(error instanceof ExportError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await refused(
    await matrixOf("olmoe.gguf"),
    null,
    /"blk\.\d\.ffn_\w+.*" is of no matrix of the model/,
  );
  const { plan, model } = await pruned(
    source,
    allKept(source.architecture.blocks).map((units) =>
      units?.channels ? { channels: [0, 40] } : units
    ),
  );
  await refused(
    whole,
    null,
    /ffn_down.*has 64 values, of which 1 × 2 are to be left; .*exported/,
    model,
  );
  const { matrix: cut } = await written(model, whole, plan);
  await refused(cut, plan, /ffn_down.*has 2 values.*up to number 1 × 41.*that was pruned/, model);
  const fewer = new Map([...whole.entries].slice(1));
  const { notes } = await written(source, { ...whole, entries: fewer }, null);
  assert.deepEqual(notes, ["the importance matrix says nothing of 1 matrices"]);
});

Deno.test("importance matrices of llama.cpp: files that are none are one sentence each", async () => {
  const dat = await bytesOf("llama-mixed.dat"), gguf = await bytesOf("llama-mixed.gguf");
  const nan = dat.slice();
  nan.set([0, 0, 192, 127], 4 + 4 + "blk.0.attn_k.weight".length + 8);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [dat.subarray(0, 100), /m, byte 31: the number of values is 32; 1 to 17 are expected/],
    [dat.subarray(0, 6), /it has 6 bytes/],
    [new Uint8Array(64), /the number of its entries is 0/],
    [nan, /blk\.0\.attn_k\.weight.*no finite numbers/],
    [gguf.subarray(0, 5000), /ends at byte/],
    [
      await Deno.readFile(`${FIXTURES}/models/llama-mixed.gguf`),
      /imatrix\.datasets: it is missing/,
    ],
  ];
  for (const [bytes, message] of cases) {
    await assert.rejects(readImportanceMatrix(new MemorySource("m", bytes)), message);
  }
});
