import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "../open_model.ts";
import { entry, safetensorsFile } from "@lopper/formats/testing";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const LLAMA = fileURLToPath(new URL("../../../tests/fixtures/families/llama-mha", import.meta.url));

async function refuses(
  files: Readonly<Record<string, Uint8Array | string>>,
  message: RegExp,
  kind: unknown = UnsupportedModelError,
) {
  await assert.rejects(openModel(new MemoryFolder("m", files)), (error) => {
    assert.ok(error instanceof (kind as typeof Error), String(error));
    assert.match(error.message, message);
    assert.match(error.message, /^m[/:, ]/);
    return true;
  });
}

/** A checkpoint's files, below a path. */
async function modelFiles(path: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const { name, isFile } of Deno.readDirSync(LLAMA)) {
    if (isFile) files[path + name] = await Deno.readFile(`${LLAMA}/${name}`);
  }
  return files;
}

Deno.test("folders: an adapter is told by what it is, and of what", async () => {
  const adapter = (config: unknown) => ({
    "adapter_config.json": JSON.stringify(config),
    "adapter_model.safetensors": "",
  });
  const lora = { peft_type: "LORA", base_model_name_or_path: "x/y" };
  await refuses(adapter(lora), /m: this is a LoRA adapter of x\/y, no model: merge it first/);
  await refuses(adapter({ ...lora, peft_type: "IA3" }), /an adapter \(IA3\) of x\/y, no model/);
  await refuses(adapter({ ...lora, base_model_name_or_path: null }), /a LoRA adapter, no model/);
  await refuses({ "adapter_model.bin": "" }, /a LoRA adapter, no model/);
  const escape = { ...lora, base_model_name_or_path: `\u001b[2J${"x".repeat(5000)}` };
  await refuses(adapter(escape), /adapter of "\\u001b\[2Jx{60,80}…, no model/);
});

Deno.test("folders: a config without safetensors beside it says where the weights are", async () => {
  const config = await Deno.readTextFile(`${LLAMA}/config.json`);
  for (const name of ["pytorch_model.bin", "model.pt", "x.pth", "y.ckpt"]) {
    const files = { "config.json": config, [name]: "" };
    await refuses(files, /never opens it; convert it with .*save_pretrained/);
  }
  await refuses(
    { "config.json": config, "m.gguf": "" },
    /m holds a config\.json and m\.gguf.*name the GGUF file itself/,
  );
});

Deno.test("folders: files of other programs are named with the way from there", async () => {
  const others: readonly [string, RegExp][] = [
    ["pytorch_model.bin", /m\/pytorch_model\.bin: this is a pickled .*; convert it with/],
    ["consolidated.00.pth", /Meta lays them out.*convert_llama_weights_to_hf/],
    ["tf_model.h5", /TensorFlow; convert it/],
    ["flax_model.msgpack", /Flax; convert it/],
    ["__0_0.distcp", /distributed checkpoint; save the whole model/],
    ["consolidated.safetensors", /as Mistral lays them out; open the folder/],
    ["model-00001-of-00002.safetensors", /a shard without model\.safetensors\.index\.json/],
    ["weights.safetensors", /under a name that no model folder has/],
    ["model_index.json", /a pipeline of several models/],
  ];
  for (const [file, message] of others) {
    await refuses({ [file]: "" }, message);
    // the same beside a config that says how to compute them
    const config = await Deno.readTextFile(`${LLAMA}/config.json`);
    await refuses({ [file]: "", "config.json": config }, message);
  }
  await refuses({}, /m: the folder is empty/, CheckpointFormatError);
  await refuses({ "readme.md": "" }, /m: there is no file config\.json/, CheckpointFormatError);
  await refuses(
    { "model.safetensors": "", "pytorch_model.bin": "" },
    /m: there is no file config\.json/,
    CheckpointFormatError,
  );
});

Deno.test("folders: one that holds models names them", async () => {
  await refuses(
    { "a/config.json": "{}", "b/x.gguf": "", "c/readme.md": "", "d.txt": "" },
    /m: this is no model, and folders in it are: a, b; name the one to open/,
  );
  const many = Array.from({ length: 30 }, (_, i) => [`m${10 + i}/config.json`, "{}"]);
  await refuses(Object.fromEntries(many), /: m10, m11, m12, m13, m14 and 25 more; name/);
});

Deno.test("folders: what the hub's cache keeps of a model opens by the branch main", async () => {
  const revision = "a".repeat(40);
  const snapshot = await modelFiles(`snapshots/${revision}/`);
  const open = (files: Record<string, Uint8Array | string>) =>
    openModel(new MemoryFolder("models--x--y", files));
  const main = { "refs/main": `${revision}\n` };
  const other = { "snapshots/b/config.json": "{}" };
  for (const files of [{ ...snapshot, ...main }, snapshot, { ...snapshot, ...other, ...main }]) {
    const model = await open(files);
    assert.equal(model.folder.name, `models--x--y/snapshots/${revision}`);
    model[Symbol.dispose]();
  }
  await assert.rejects(open({ ...snapshot, ...other }), /2 snapshots and no refs\/main; name/);
  await assert.rejects(
    open({ ...snapshot, "refs/main": "../../elsewhere" }),
    /refs\/main: the branch is at "\.\.\/\.\.\/elsewhere", and snapshots does not hold that/,
  );
});

Deno.test("folders: the hub's cache is read through its links", async () => {
  const dir = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    await Deno.mkdir(`${dir}/blobs`);
    await Deno.mkdir(`${dir}/snapshots/rev`, { recursive: true });
    await Deno.mkdir(`${dir}/refs`);
    await Deno.writeTextFile(`${dir}/refs/main`, "rev");
    for (const [name, bytes] of Object.entries(await modelFiles(""))) {
      await Deno.writeFile(`${dir}/blobs/${name}-blob`, bytes);
      await Deno.symlink(`../../blobs/${name}-blob`, `${dir}/snapshots/rev/${name}`);
    }
    const model = await openModel(new FileFolder(dir));
    assert.equal(model.folder.name, `${dir}/snapshots/rev`);
    model[Symbol.dispose]();
    // a folder of such folders, and files that are none
    await Deno.writeTextFile(`${dir}/x.txt`, "");
    await assert.rejects(
      openModel(new FileFolder(`${dir}/snapshots`)),
      /this is no model, and folders in it are: rev; name/,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("folders: quantised tensors of which no config speaks are told by the file beside them", async () => {
  const files = await modelFiles("");
  const packed = safetensorsFile(
    JSON.stringify({ "model.layers.0.self_attn.q_proj.qweight": entry("I32", [1], 0, 4) }),
    new Uint8Array(4),
  );
  const with_ = (more: Record<string, Uint8Array | string>) => ({ ...files, ...more });
  await refuses(
    with_({ "model.safetensors": packed }),
    /tensor "model.*q_proj\.qweight": the weights are quantised; /,
  );
  const beside: readonly [string, unknown, RegExp][] = [
    ["quantize_config.json", { bits: 4 }, /quantize_config\.json: .* \(GPTQ, 4 bits\)/],
    ["quant_config.json", { w_bit: 4 }, /quant_config\.json: .* \(AWQ, 4 bits\)/],
    ["hf_quant_config.json", { quantization: { quant_algo: "FP8" } }, /json: .* \(FP8\)/],
  ];
  for (const [file, json, message] of beside) {
    await refuses(with_({ "model.safetensors": packed, [file]: JSON.stringify(json) }), message);
  }
  const bare = safetensorsFile(
    JSON.stringify({ "lm_head.weight": entry("F8_E4M3", [1], 0, 1) }),
    new Uint8Array(1),
  );
  await refuses(
    with_({ "model.safetensors": bare }),
    /dtype is "F8_E4M3", so it is quantised; Lopper prunes .*: open the checkpoint/,
    CheckpointFormatError,
  );
});
