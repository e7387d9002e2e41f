import { CheckpointFormatError, densePlan, type FloatDType } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import {
  fromFloat32,
  MemoryFolder,
  MemorySink,
  openTensorStore,
  planShards,
  type TensorEntry,
  toFloat32,
  writeSafetensors,
} from "@lopper/formats";
import { modelDigest } from "./model.ts";
import { openModel } from "./open_model.ts";
import { writePrunedModel } from "./pruned_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const Q = "model.layers.0.self_attn.q_proj.weight";

/** A fixture in memory, its tensors and config changed on the way. */
async function changed(
  family: string,
  change: (entries: TensorEntry[]) => TensorEntry[],
  options: { config?: Record<string, unknown>; maxShardBytes?: number } = {},
): Promise<MemoryFolder> {
  const folder = new FileFolder(`${FIXTURES}/${family}`);
  const store = await openTensorStore(folder);
  const entries = await Promise.all(
    [...store.tensors.values()].map(async ({ name, dtype, shape }): Promise<TensorEntry> => {
      const bytes = await store.readBytes(name);
      return { name, dtype, shape, data: () => Promise.resolve(bytes) };
    }),
  );
  store.close();
  const { shards, indexJson } = planShards(change(entries), options.maxShardBytes);
  const files: Record<string, Uint8Array | string> = {};
  for (const { file, entries } of shards) {
    const sink = new MemorySink();
    await writeSafetensors(sink, entries);
    await sink.commit();
    files[file] = sink.bytes;
  }
  if (indexJson !== undefined) files["model.safetensors.index.json"] = indexJson;
  const config = JSON.parse(await Deno.readTextFile(`${FIXTURES}/${family}/config.json`));
  files["config.json"] = JSON.stringify({ ...config, ...options.config });
  return new MemoryFolder("m", files);
}

const same = (entries: TensorEntry[]) => entries;
const edit = (name: string, to: Partial<TensorEntry>) => (entries: TensorEntry[]) =>
  entries.map((e) => e.name === name ? { ...e, ...to } : e);

async function refused(folder: MemoryFolder, message: RegExp) {
  await assert.rejects(openModel(folder), (error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("model: every fixture opens and lists its weights once", async () => {
  for (const { name } of Deno.readDirSync(FIXTURES)) {
    const model = await openModel(new FileFolder(`${FIXTURES}/${name}`));
    assert.equal(new Set(model.weights.map((w) => w.tensor.name)).size, model.weights.length);
    assert.equal(model.weights.length, model.store.tensors.size, name);
    model[Symbol.dispose]();
  }
});

Deno.test("model: tensors must be those of the config", async () => {
  await refused(
    await changed("llama-mha", (entries) => entries.filter((e) => e.name !== Q)),
    /q_proj.weight": the tensor is missing; config\.json declares it with shape \[/,
  );
  await refused(
    await changed("llama-mha", (entries) => [...entries, { ...entries[0], name: "extra" }]),
    /tensor "extra".*does not declare this tensor/,
  );
  await refused(
    await changed("llama-mha", (entries) => {
      const q = entries.find((e) => e.name === Q)!;
      return edit(Q, { shape: q.shape.toReversed().concat(1) })(entries);
    }),
    /q_proj\.weight", byte \d+: its shape is \[.*\] and config\.json needs \[/,
  );
  await refused(
    await changed("llama-mha", edit(Q, { dtype: "I16" })),
    /q_proj\.weight".*dtype is I16 and weights need F32, F16 or BF16/,
  );
  // a block that is missing without a word is an error, not a pruned model
  await refused(
    await changed("llama-missing-blocks", same, { config: { lopper: undefined } }),
    /the tensor is missing/,
  );
});

Deno.test("model: buffers of old exporters are no weights", async () => {
  const folder = await changed("llama-mqa", (entries) => [
    ...entries,
    { ...entries[0], name: "model.layers.0.self_attn.rotary_emb.inv_freq" },
  ]);
  const model = await openModel(folder);
  assert.equal(model.weights.length, model.store.tensors.size - 1);
});

const EMBEDDING = "model.embed_tokens.weight", HEAD = "lm_head.weight";
/** A tied model with a head beside the embedding, which holds what `head` makes of it. */
const withHead = (head: (values: Float32Array) => Float32Array, dtype: FloatDType = "F32") =>
  changed("llama-mqa", (entries) => {
    const embedding = entries.find((e) => e.name === EMBEDDING)!;
    const data = async () =>
      fromFloat32(dtype, head(toFloat32(embedding.dtype, await embedding.data()).slice()));
    return [...entries, { ...embedding, name: HEAD, dtype, data }];
  });

Deno.test("model: a head that is the embedding is tied, whatever it is rounded to", async () => {
  const tied = await openModel(await changed("llama-mqa", same));
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const model = await openModel(await withHead((values) => values, dtype));
    assert.deepEqual([model.architecture, model.config, model.notes], [
      tied.architecture,
      tied.config,
      tied.notes,
    ]);
    assert.equal(model.weights.length, model.store.tensors.size - 1);
    assert.equal(await modelDigest(model), await modelDigest(tied));
  }
});

Deno.test("model: a head that is another matrix counts, whatever the config says, and is written", async () => {
  const last = (values: Float32Array) => values.fill(values[0] + 1, values.length - 1);
  const model = await openModel(await withHead(last));
  assert.equal(model.architecture.tiedEmbeddings, false);
  assert.equal(model.weights.at(-1)!.tensor.name, HEAD);
  assert.match(
    model.notes[0],
    /lm_head\.weight is not the embedding, though by config\.json they are tied/,
  );
  const files: Record<string, Uint8Array> = {};
  const plan = densePlan(model.architecture, await modelDigest(model));
  await writePrunedModel(model, plan, (file) => {
    const sink = new MemorySink();
    const commit = async () => {
      await sink.commit();
      files[file] = sink.bytes;
    };
    return Promise.resolve({
      write: (bytes: Uint8Array) => sink.write(bytes),
      abort: () => sink.abort(),
      commit,
    });
  });
  const again = await openModel(new MemoryFolder("again", files));
  assert.deepEqual(again.architecture, model.architecture);
  assert.deepEqual(again.notes, []);
  assert.equal(await modelDigest(again), await modelDigest(model));
  // one of another shape is no such matrix
  const [, columns] = model.store.tensors.get(HEAD)!.shape;
  await refused(
    await changed("llama-mqa", (entries) => {
      const norm = entries.find((e) => e.name === "model.norm.weight")!;
      return [...entries, { ...norm, name: HEAD, shape: [1, columns] }];
    }),
    /lm_head\.weight".*its shape is \[1, \d+\] and config\.json needs/,
  );
});

Deno.test("model: the head of a tied model may stand for the embedding, and is written as that", async () => {
  const tied = await openModel(await changed("llama-mqa", same));
  const model = await openModel(await changed("llama-mqa", edit(EMBEDDING, { name: HEAD })));
  assert.deepEqual(model.architecture, tied.architecture);
  assert.deepEqual(model.notes, tied.notes);
  assert.equal(await modelDigest(model), await modelDigest(tied));
  for (const { tensor: { name } } of model.weights) {
    assert.deepEqual(await model.store.readFloat32(name), await tied.store.readFloat32(name));
  }
  assert.equal(model.weights[0].tensor.name, EMBEDDING);
  // without the word of a config it is only a head
  await refused(
    await changed("llama-mqa", edit(EMBEDDING, { name: HEAD }), {
      config: { tie_word_embeddings: false },
    }),
    /embed_tokens\.weight": the tensor is missing/,
  );
});

Deno.test("model: a model that was saved without its head has names that begin later", async () => {
  const bare = (entries: TensorEntry[]) =>
    entries.map((entry) => ({
      ...entry,
      name: entry.name.replace(/^(?:model|transformer)\./, ""),
    }));
  for (const family of ["llama-mqa", "llama-mha", "gpt2"]) {
    const whole = await openModel(await changed(family, same));
    const model = await openModel(await changed(family, bare));
    assert.deepEqual(model.weights.map(({ role }) => role), whole.weights.map(({ role }) => role));
    assert.equal(await modelDigest(model), await modelDigest(whole));
  }
  // as GPT-2 lies on the hub, with the causal mask as a buffer
  const masked = (entries: TensorEntry[]) => [
    ...bare(entries),
    { ...entries[0], name: "h.0.attn.bias" },
  ];
  const model = await openModel(await changed("gpt2", masked));
  assert.ok(model.weights.every(({ tensor: { name } }) => !name.endsWith(".attn.bias")));
});

Deno.test("model: a config that is not tied needs a head", async () => {
  await refused(
    await changed("llama-mqa", same, { config: { tie_word_embeddings: false } }),
    /lm_head\.weight": the tensor is missing; config\.json declares it .*does not say tie_word/,
  );
});

Deno.test("model: the digest is that of the weights, however they are stored", async () => {
  const digest = async (folder: MemoryFolder) => modelDigest(await openModel(folder));
  const plain = await digest(await changed("qwen2", same));
  assert.match(plain, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await digest(await changed("qwen2", same, { maxShardBytes: 10_000 })), plain);
  assert.equal(await digest(await changed("qwen2", (e) => e.toReversed())), plain);
  const flipped = (entries: TensorEntry[]) =>
    entries.map((e) =>
      e.name !== Q ? e : {
        ...e,
        data: async () => {
          const bytes = (await e.data()).slice();
          bytes[5] ^= 1;
          return bytes;
        },
      }
    );
  assert.notEqual(await digest(await changed("qwen2", flipped)), plain);
  assert.notEqual(
    await digest(await changed("qwen2", same, { config: { rms_norm_eps: 0.5 } })),
    plain,
  );
});
