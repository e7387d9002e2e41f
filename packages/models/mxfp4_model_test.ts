import { CheckpointFormatError, LopperError, planOfKept, sizeOf } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { MemoryFolder, MemorySink } from "@lopper/formats";
import { openModel } from "./open_model.ts";
import { writePrunedModel } from "./pruned_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FOLDER = new FileFolder(
  fileURLToPath(new URL("../../tests/fixtures/families/gpt_oss-mxfp4", import.meta.url)),
);
const WHOLE = {
  "config.json": await FOLDER.readBytes("config.json", 1e6),
  "model.safetensors": await FOLDER.readBytes("model.safetensors", 1e6),
};
const CONFIG = JSON.parse(new TextDecoder().decode(WHOLE["config.json"]));

/** The header of the weights, and how long it is. */
const LENGTH = Number(
  new DataView(WHOLE["model.safetensors"].slice(0, 8).buffer).getBigUint64(0, true),
);
const HEADER = new TextDecoder().decode(WHOLE["model.safetensors"].subarray(8, 8 + LENGTH));

/** The same weights under another header. */
function withHeader(header: string): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  const data = WHOLE["model.safetensors"].subarray(8 + LENGTH);
  return new Uint8Array([...length, ...text, ...data]);
}

Deno.test("MXFP4: gpt-oss as it is published is read as BF16, and written so with fewer experts", async () => {
  using model = await openModel(new MemoryFolder("m", WHOLE));
  const [hidden, inner, experts] = [32, 64, 4];
  const blocks = model.architecture.layerCount * experts * 3 * hidden * inner / 32;
  assert.deepEqual(model.stored.quantised, { MXFP4: 17 * blocks });
  assert.equal(model.config.quantization_config, undefined);
  assert.ok(model.weights.every(({ tensor }) => tensor.dtype === "BF16"));

  const kept = model.architecture.blocks.map((block) => {
    const [[name, units]] = Object.entries(sizeOf(block));
    return { [name]: name === "experts" ? [1, 3] : Array.from({ length: units }, (_, i) => i) };
  });
  const plan = planOfKept(model.architecture, kept, { modelDigest: "", removalOrder: [] });
  const sinks = new Map<string, MemorySink>();
  await writePrunedModel(model, plan, (file) => {
    const sink = new MemorySink();
    sinks.set(file, sink);
    return Promise.resolve(sink);
  });
  const files = Object.fromEntries([...sinks].map(([file, sink]) => [file, sink.bytes]));
  using pruned = await openModel(new MemoryFolder("w", files));
  assert.equal(pruned.stored.quantised, null);
  assert.equal(pruned.config.quantization_config, undefined);
  for (const { role, tensor } of pruned.weights) {
    if (!("layer" in role) || role.weight !== "gate") continue;
    const from = await model.store.readFloat32(tensor.name);
    const size = from.length / experts;
    const wanted = [1, 3].flatMap((
      expert,
    ) => [...from.subarray(expert * size, (expert + 1) * size)]);
    assert.deepEqual([...await pruned.store.readFloat32(tensor.name)], wanted);
  }
});

Deno.test("MXFP4: a config that says it of weights that are not, and weights of another size, are refused", async () => {
  const refuses = async (change: Record<string, unknown>, weights: Uint8Array, message: RegExp) =>
    await assert.rejects(
      openModel(
        new MemoryFolder("m", {
          "config.json": JSON.stringify({ ...CONFIG, ...change }),
          "model.safetensors": weights,
        }),
      ),
      (error) => {
        assert.ok(error instanceof CheckpointFormatError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  const plain = new FileFolder(
    fileURLToPath(new URL("../../tests/fixtures/families/gpt_oss", import.meta.url)),
  );
  const { quantization_config } = CONFIG;
  const text = new TextDecoder().decode(await plain.readBytes("config.json", 1e6));
  await refuses(
    { ...JSON.parse(text), quantization_config },
    await plain.readBytes("model.safetensors", 1e6),
    /quantization_config of config\.json says MXFP4, and no tensor is/,
  );
  const weights = WHOLE["model.safetensors"];
  await refuses({ hidden_size: 96 }, weights, /config\.json needs \[/);
  await refuses(
    { intermediate_size: 32 },
    weights,
    /gate_up_proj_blocks.*its shape is \[4, 128, 32\]/,
  );
  // What config.json does not say of them, the tensors say.
  const silent = JSON.stringify({ ...CONFIG, quantization_config: undefined });
  using model = await openModel(new MemoryFolder("m", { ...WHOLE, "config.json": silent }));
  assert.ok(model.stored.quantised);
});

Deno.test("MXFP4: whatever the header says otherwise is one sentence, before anything is decoded", async () => {
  const entries = [...HEADER.matchAll(/"[^"]+_(?:blocks|scales)":\{[^}]+\}/g)].map(([entry]) =>
    entry
  );
  assert.equal(entries.length, 8);
  const changes: readonly (readonly [RegExp, string])[] = [
    [/"U8"/, '"I8"'],
    [/"U8"/, '"F16"'],
    [/"shape":\[/, '"shape":[1,'],
    [/"shape":\[4,/, '"shape":[2,2,'],
    [/"shape":\[4,/, '"shape":[9007199254740991,'],
    [/"shape":\[4,(\d+)/, '"shape":[$1,4'],
    [/,(\d+)\]/, ",4]"],
    [/_blocks|_scales/, "_others"],
    [/_blocks"/, '_scales"'],
  ];
  for (const entry of entries) {
    for (const [from, to] of changes) {
      const changed = entry.replace(from, to);
      if (changed === entry) continue;
      const weights = withHeader(HEADER.replace(entry, changed));
      await assert.rejects(
        async () => {
          using _ = await openModel(
            new MemoryFolder("m", { ...WHOLE, "model.safetensors": weights }),
          );
        },
        (error) => error instanceof LopperError && error.message.length < 600,
        changed,
      );
    }
  }
});
