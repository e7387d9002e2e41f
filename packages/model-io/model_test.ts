import { CheckpointFormatError } from "@lopper/core";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemorySink } from "./byte_sink.ts";
import { FileFolder } from "./files/mod.ts";
import { modelDigest } from "./model.ts";
import { openModel } from "./open_model.ts";
import { MemoryFolder } from "./model_folder.ts";
import { openTensorStore } from "./safetensors/tensor_store.ts";
import { planShards, type TensorEntry, writeSafetensors } from "./safetensors/writer.ts";

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
    model.close();
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

Deno.test("model: buffers of old exporters and the LM head of a tied model are no weights", async () => {
  const folder = await changed("llama-mqa", (entries) => [
    ...entries,
    { ...entries[0], name: "lm_head.weight" },
    { ...entries[0], name: "model.layers.0.self_attn.rotary_emb.inv_freq" },
  ]);
  const model = await openModel(folder);
  assert.equal(model.weights.length, model.store.tensors.size - 2);
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
