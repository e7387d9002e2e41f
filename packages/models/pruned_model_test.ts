import {
  allKept,
  type Architecture,
  CheckpointFormatError,
  densePlan,
  type Dimension,
  type DType,
  DTYPE_BYTES,
  firstRope,
  headsOf,
  isUniform,
  keepLayers,
  type KeptUnits,
  layersWithBlocks,
  PlanError,
  planOfKept,
  prunedArchitecture,
  type PrunePlan,
  sizeOf,
} from "@lopper/core";
import { FileFolder, FileSink } from "@lopper/files";
import { type ByteSink, MemoryFolder, MemorySink } from "@lopper/formats";
import type { Model } from "./model.ts";
import { openModel } from "./open_model.ts";
import { writePrunedModel } from "./pruned_model.ts";

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { heterogeneousPlan, uniformPlan } from "../../tests/support/heterogeneous.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const FAMILIES = [...Deno.readDirSync(FIXTURES)].map(({ name }) => name).sort();
const LLAMA = `${FIXTURES}/llama-mha`;
const DIGEST = `sha256:${"0".repeat(64)}`;

const open = (family: string) => openModel(new FileFolder(`${FIXTURES}/${family}`));

/** Any plan for the model: blocks that are removed, single units, everything kept. */
function plans(architecture: Architecture): fc.Arbitrary<PrunePlan> {
  const kept = (n: number) => {
    const all = Array.from({ length: n }, (_, i) => i);
    return fc.oneof(
      fc.constant(all),
      fc.subarray(all, { minLength: 1 }),
      fc.nat(n - 1).map((i) => [i]),
    );
  };
  // Of each group the same ones, which are as many; of each expert others.
  const unitsOf = ({ units, groups = 1, owners }: Dimension) =>
    kept(units / groups).map((those) =>
      Array.from(
        { length: owners ?? groups },
        (_, group) =>
          owners === undefined
            ? those.map((unit) => group * units / groups + unit)
            : those.map((unit) => (unit + group) % units).sort((a, b) => a - b)
              .map((unit) => group * units + unit),
      ).flat()
    );
  const blocks = architecture.blocks.map(({ dimensions }) =>
    fc.oneof(
      fc.constant(null),
      fc.tuple(...dimensions.map((one) => unitsOf(one).map((those) => [one.name, those])))
        .map((all): KeptUnits => Object.fromEntries(all)),
    )
  );
  return fc.tuple(...blocks).map((kept) =>
    planOfKept(architecture, kept, { modelDigest: DIGEST, removalOrder: [] })
  );
}

/** Of a mixture: its layer, and what has a part for each expert. */
const IN_MIXTURE =
  /^\w+\.layers\.(\d+)\.(?:mlp|block_sparse_moe)\.(experts\..+|gate\..+|router\..+|(?:moe_statics\.)?e_score.+)?/;
const IN_LAYER = /^([\w.]+)\.(?:layers|h)\.(\d+)\.(\w+)(?:\.(\w+))?\.(?:weight|bias|sinks|slopes)$/;

/** Values of a row. */
function widthOf([, ...rest]: readonly number[]): number {
  return rest.reduce((product, d) => product * d, 1);
}

/** Norms of attention, which are called "input_layernorm" in all other families. */
const NORMS: Readonly<Record<string, readonly string[]>> = {
  exaone4: ["post_attention_layernorm"],
  gemma2: ["input_layernorm", "post_attention_layernorm"],
  gemma3_text: ["input_layernorm", "post_attention_layernorm"],
  glm4: ["input_layernorm", "post_self_attn_layernorm"],
  gpt2: ["ln_1"],
  olmo2: ["post_attention_layernorm"],
  olmo3: ["post_attention_layernorm"],
  opt: ["self_attn_layer_norm"],
};

/**
 * The kept part of one tensor, found by its name and element by element: rows and columns that
 * stay, or null for a tensor that goes. Knows nothing of prune groups.
 */
function keptPart(
  architecture: Architecture,
  plan: PrunePlan,
  name: string,
  shape: readonly number[],
) {
  const all = [shape[0], widthOf(shape)].map((n) => Array.from({ length: n }, (_, i) => i));
  const [, mixed, stacked] = IN_MIXTURE.exec(name) ?? [];
  const { experts } = plan.layers[Number(mixed ?? 0)];
  if (mixed !== undefined && experts) {
    if (experts === "removed") return null;
    const block = architecture.blocks.find(({ id }) => id === `${mixed}.experts`)!;
    const [{ units: count }, { units, owners = 0 }] = block.dimensions;
    const kept = experts.channels ?? Array.from({ length: units * owners }, (_, u) => u);
    if (stacked === undefined) {
      // What all tokens go through is as wide as some experts more, or stays as it is.
      const shared = kept.filter((u) => u >= count * units).map((u) => u - count * units);
      if (owners === count || !/\.shared/.test(name) || /gate\.weight$/.test(name)) return all;
      return name.endsWith("down_proj.weight") ? [all[0], shared] : [shared, all[1]];
    }
    const rows = experts.experts.slice();
    if (!stacked.startsWith("experts.") || /down\w*\.bias/.test(stacked)) return [rows, all[1]];
    const own = (e: number) =>
      kept.filter((u) => Math.floor(u / units) === e).map((u) => u % units);
    const columns = rows.map((e) => {
      if (shape.length === 2) return own(e);
      const [, outer, inner] = shape;
      const places = Array.from({ length: outer * inner }, (_, i) => i);
      return places.filter((i) =>
        own(e).includes(/down/.test(stacked) ? i % inner : Math.floor(i / inner))
      );
    });
    const left = own(rows[0]).length;
    const narrowed = /down/.test(stacked) ? [shape[1], left] : [left, ...shape.slice(2)];
    return { rows, columns, shape: [rows.length, ...narrowed] };
  }
  const match = IN_LAYER.exec(name);
  if (!match) return all;
  const [, , layer, module, part] = match;
  const { attention, mlp = plan.layers[Number(layer)].experts } = plan.layers[Number(layer)];
  const norms = NORMS[architecture.family] ?? ["input_layernorm"];
  const isShared = architecture.blocks.some(({ weights }) => weights.some((w) => w.shared)) &&
    norms.includes(module);
  if (isShared) return attention === "removed" && mlp === "removed" ? null : all;
  const isAttention = ["self_attn", "attention", "attn"].includes(module);
  const ofAttention = isAttention || norms.includes(module);
  if ((ofAttention ? attention : mlp) === "removed") return null;
  let [rows, columns] = all;
  if (isAttention && attention !== "removed") {
    const dense = headsOf(architecture.blocks.find(({ id }) => id === `${layer}.attention`)!);
    const { headDim } = architecture;
    const stays = (channel: number, heads: number) =>
      attention.kvGroups.includes(
        Math.floor(Math.floor(channel / headDim) / (heads / dense.kvHeads)),
      );
    const ofQueries = ["q_proj"], ofKeys = ["k_proj", "v_proj"];
    if (/\.(?:sinks|slopes)$/.test(name)) {
      rows = rows.filter((r) => stays(r * headDim, dense.queryHeads));
    }
    // Where norms are taken over all heads.
    if (shape[0] === dense.queryHeads * headDim) ofQueries.push("q_norm", "q_layernorm");
    if (shape[0] === dense.kvHeads * headDim) ofKeys.push("k_norm", "k_layernorm");
    if (ofQueries.includes(part)) rows = rows.filter((r) => stays(r, dense.queryHeads));
    if (ofKeys.includes(part)) rows = rows.filter((r) => stays(r, dense.kvHeads));
    if (["o_proj", "out_proj", "dense", "c_proj"].includes(part) && shape.length === 2) {
      columns = columns.filter((c) => stays(c, dense.queryHeads));
    }
  } else if (["mlp", "shared_mlp", "fc1", "fc2"].includes(module) && mlp !== "removed") {
    if (
      !["down_proj", "output_linear", "c_proj", "dense_4h_to_h", "fc2"].includes(part ?? module)
    ) {
      rows = rows.filter((r) => mlp.channels.includes(r));
    } else if (shape.length === 2) columns = columns.filter((c) => mlp.channels.includes(c));
  }
  return [rows, columns];
}

type KeptPart = NonNullable<ReturnType<typeof keptPart>>;

function gather(bytes: Uint8Array, dtype: DType, width: number, part: KeptPart) {
  const size = DTYPE_BYTES[dtype];
  const out: number[] = [];
  const { rows, columns } = Array.isArray(part)
    ? { rows: part[0], columns: part[0].map(() => part[1]) }
    : part;
  rows.forEach((r, i) => {
    for (const c of columns[i]) {
      const at = (r * width + c) * size;
      out.push(...bytes.subarray(at, at + size));
    }
  });
  return Uint8Array.from(out);
}

/** Writes into memory. */
async function write(model: Model, plan: PrunePlan, maxShardBytes?: number) {
  const sinks: Record<string, MemorySink> = {};
  const written = await writePrunedModel(
    model,
    plan,
    (file) => Promise.resolve(sinks[file] = new MemorySink()),
    { maxShardBytes },
  );
  assert.deepEqual(Object.keys(sinks), written.files);
  const files = Object.fromEntries(Object.entries(sinks).map(([f, sink]) => [f, sink.bytes]));
  return { written, files, folder: new MemoryFolder("out", files) };
}

for (const family of FAMILIES) {
  Deno.test(`pruned model ${family}: what stays is bit-identical, and nothing else stays`, async () => {
    const model = await open(family);
    await fc.assert(
      fc.asyncProperty(
        plans(model.architecture),
        fc.constantFrom(undefined, 1, 20_000),
        async (plan, maxShardBytes) => {
          const { written, files, folder } = await write(model, plan, maxShardBytes);
          const pruned = await openModel(folder);
          const whole = prunedArchitecture(model.architecture, plan);
          const numbers = layersWithBlocks(whole);
          const left = keepLayers(whole, numbers);
          // What is uniform without its empty layers is a plain model of fewer.
          const moves = isUniform(left);
          assert.deepEqual(pruned.architecture, moves ? left : whole);
          const place = (name: string) =>
            name.replace(/^([\w.]+\.(?:layers|h)\.)(\d+)/, (_, start, layer) => {
              return start + (moves ? numbers.indexOf(Number(layer)) : layer);
            });
          assert.deepEqual(written.architecture, pruned.architecture);
          assert.equal(written.weightBytes, pruned.weightBytes);
          assert.equal(written.files.at(-1), "config.json");
          const expected = new Set<string>();
          for (const { tensor: { name, shape, dtype } } of model.weights) {
            const part = keptPart(model.architecture, plan, name, shape);
            if (!part) continue;
            const stored = place(name);
            expected.add(stored);
            const got = pruned.store.tensors.get(stored);
            assert.ok(got, name);
            assert.equal(got.dtype, dtype);
            const wanted = !Array.isArray(part)
              ? part.shape
              : shape.length > 2
              ? [part[0].length, ...shape.slice(1)]
              : part.map((a) => a.length).slice(0, shape.length);
            assert.deepEqual(got.shape, wanted, name);
            const want = gather(await model.store.readBytes(name), dtype, widthOf(shape), part);
            assert.ok(sameBytes(await pruned.store.readBytes(stored), want), name);
          }
          assert.deepEqual(new Set(pruned.store.tensors.keys()), expected);
          const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
          assert.equal("per_layer_config" in config, !isUniform(pruned.architecture));
          assert.equal(written.customCode, "auto_map" in config);
        },
      ),
      { numRuns: 6, seed: 11 },
    );
    model[Symbol.dispose]();
  });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}

Deno.test("pruned model: a plan that keeps everything gives the same weights and settings", async () => {
  for (const family of FAMILIES) {
    const model = await open(family);
    const { folder } = await write(model, densePlan(model.architecture, DIGEST));
    const same = await openModel(folder);
    assert.deepEqual(same.architecture, model.architecture);
    for (const { tensor } of model.weights) {
      const bytes = await model.store.readBytes(tensor.name);
      assert.ok(sameBytes(await same.store.readBytes(tensor.name), bytes), tensor.name);
    }
    model[Symbol.dispose]();
  }
});

Deno.test("pruned model: equal layers give a plain config, unequal ones say how, and pruning again is the same", async () => {
  const model = await open("qwen2");
  const config = async (folder: MemoryFolder) =>
    JSON.parse(new TextDecoder().decode(await folder.readBytes("config.json", 1e6)));
  const { queryHeads, kvHeads } = headsOf(model.architecture.blocks[0]);
  assert.ok(kvHeads >= 2);
  const plain = await config((await write(model, uniformPlan(model.architecture, 1, 16))).folder);
  assert.equal(plain.per_layer_config, undefined);
  assert.equal(plain.num_key_value_heads, 1);
  assert.equal(plain.num_attention_heads, queryHeads / kvHeads);
  assert.equal(plain.intermediate_size, 16);
  assert.equal(plain.head_dim, model.architecture.headDim);
  for (const [key, value] of Object.entries(model.config)) {
    if (/^(num_attention_heads|num_key_value_heads|intermediate_size|head_dim)$/.test(key)) {
      continue;
    }
    assert.deepEqual(plain[key], value, key);
  }

  const one = uniformPlan(model.architecture, kvHeads, 24);
  const mixed: PrunePlan = {
    ...one,
    layers: one.layers.map((layer, i) => i === 0 ? { ...layer, attention: "removed" } : layer),
  };
  const first = await write(model, mixed);
  const listed = await config(first.folder);
  assert.deepEqual(listed.per_layer_config[0], { intermediate_size: 24, skip: ["attention"] });
  assert.deepEqual(listed.per_layer_config[1], { intermediate_size: 24 });
  assert.deepEqual(first.written.files.filter((file) => file.endsWith(".py")), [
    "configuration_lopper.py",
    "modeling_lopper.py",
  ]);
  const own = ["model_type", "architectures", "auto_map", "per_layer_config", "layer_types"];
  const rest = (config: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(config).filter(([key]) => !own.includes(key)));
  const { headDim } = model.architecture;
  // readers of earlier keys find the rotary base, too
  assert.deepEqual(rest(listed), {
    ...rest(model.config),
    head_dim: headDim,
    rope_theta: firstRope(model.architecture)!.theta,
  });
  // What was pruned once is opened and pruned like any other model, and lists new layers.
  const again = await openModel(first.folder);
  const second = await write(again, {
    ...densePlan(again.architecture, DIGEST),
    layers: densePlan(again.architecture, DIGEST).layers.map((layer) => ({
      ...layer,
      mlp: { channels: [3] },
    })),
  });
  const layers = Object.values((await config(second.folder)).per_layer_config);
  assert.equal(layers.length, again.architecture.layerCount);
  for (const layer of layers) assert.equal((layer as typeof plain).intermediate_size, 1);
  model[Symbol.dispose]();
});

Deno.test("pruned model: a config that says otherwise than the weights is refused, whatever it leaves out", async () => {
  using model = await open("llama-mha");
  const { files } = await write(model, heterogeneousPlan(model.architecture));
  const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
  const { per_layer_config: own, ...plain } = config;
  const changed = async (per_layer_config: unknown, type = config.model_type) => {
    const other = { ...plain, model_type: type, per_layer_config };
    const folder = { ...files, "config.json": new TextEncoder().encode(JSON.stringify(other)) };
    using _ = await openModel(new MemoryFolder("out", folder));
  };
  await changed(own);
  const missing = /the tensor is missing; config\.json declares it/;
  await assert.rejects(changed(undefined), missing);
  await assert.rejects(changed(null, "llama"), missing);
  await assert.rejects(changed({ ...own, 0: {} }), missing);
  const narrower = { ...own[1], intermediate_size: own[1].intermediate_size - 1 };
  await assert.rejects(changed({ ...own, 1: narrower }), /its shape is .* config\.json needs/);
  const gone = { ...own, 1: { ...own[1], skip: ["mlp"] } };
  await assert.rejects(changed(gone), /config\.json does not declare this tensor/);
});

Deno.test("pruned model: whole layers that are gone leave a plain config of fewer, per-layer keys included", async () => {
  for (const family of ["llama-mha", "qwen2", "qwen3"]) {
    const model = await open(family);
    const { layers, ...rest } = densePlan(model.architecture, DIGEST);
    const plan: PrunePlan = {
      ...rest,
      layers: layers.map((layer, i) => i === 1 ? { attention: "removed", mlp: "removed" } : layer),
    };
    const config = { ...model.config, layer_types: layers.map((_, i) => `type ${i}`) };
    const { folder } = await write({ ...model, config: { ...config, max_window_layers: 2 } }, plan);
    const found = JSON.parse(new TextDecoder().decode(await folder.readBytes("config.json", 1e6)));
    assert.equal(found.per_layer_config, undefined);
    assert.equal(found.num_hidden_layers, layers.length - 1);
    assert.deepEqual(found.layer_types, config.layer_types.filter((_, i) => i !== 1), family);
    assert.equal(found.max_window_layers, 1);
    model[Symbol.dispose]();
  }
});

Deno.test("pruned model: the tokenizer's and generation files go along unchanged, others stay behind", async () => {
  const companions: Record<string, string | Uint8Array> = {
    "LICENSE.txt": "terms",
    "added_tokens.json": '{"a":1}',
    "additional_chat_templates/tool_use.jinja": "{{ tools }}",
    "chat_template.jinja": "",
    "chat_template.json": '{"chat_template":  ""}',
    "generation_config.json": '{ "eos_token_id": [3] }',
    "special_tokens_map.json": "{}",
    "tokenizer.json": '{ "model": {"vocab":  {"a":1}} }',
    // What Lopper does not read is nothing that it could check.
    "tokenizer.model": new Uint8Array([0xfe]),
    "tokenizer_config.json": '{"model_max_length":1e30}',
    "vocab.json": '{"auto_map": 3}',
  };
  const model = await openModel(
    await withFiles({
      ...companions,
      "README.md": "other",
      "evil.py": "other",
      "license.py": "other",
      "custom_generate/generate.py": "other",
      "additional_chat_templates/tool_use.py": "other",
      "preprocessor_config.json": "{}",
      "pytorch_model.bin": "other",
    }),
  );
  const { files } = await write(model, densePlan(model.architecture, DIGEST));
  const { "model.safetensors": _, "config.json": __, ...others } = files;
  const bytes = (content: string | Uint8Array) =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;
  assert.deepEqual(
    others,
    Object.fromEntries(Object.entries(companions).map(([name, c]) => [name, bytes(c)])),
  );
});

Deno.test("pruned model: what names code goes along without it, and the tokenizer is the one in its file", async () => {
  const code = { auto_map: { AutoModel: "evil.Model" }, custom_pipelines: { x: {} } };
  const base = JSON.parse(
    new TextDecoder().decode(await new FileFolder(LLAMA).readBytes("config.json", 1e6)),
  );
  const model = await openModel(
    await withFiles({
      "config.json": JSON.stringify({
        ...base,
        ...code,
        architectures: ["EvilForCausalLM"],
        transformers_weights: "model.safetensors",
        inner: [{ ...code, kept: 1 }],
      }),
      "generation_config.json": JSON.stringify({ eos_token_id: 3, trust_remote_code: true }),
      "tokenizer_config.json": JSON.stringify({
        tokenizer_class: "EvilTokenizer",
        auto_map: { AutoTokenizer: ["evil.Tokenizer", null] },
        eos_token: "a",
      }),
    }),
  );
  const { folder } = await write(model, densePlan(model.architecture, DIGEST));
  const read = async (file: string) =>
    JSON.parse(new TextDecoder().decode(await folder.readBytes(file, 1e6)));
  const { inner, architectures, ...config } = await read("config.json");
  assert.deepEqual(inner, [{ kept: 1 }]);
  assert.deepEqual(architectures, ["LlamaForCausalLM"]);
  for (const key of [...Object.keys(code), "transformers_weights"]) {
    assert.equal(config[key], undefined, key);
  }
  assert.deepEqual(await read("generation_config.json"), { eos_token_id: 3 });
  assert.deepEqual(await read("tokenizer_config.json"), {
    tokenizer_class: "PreTrainedTokenizerFast",
    eos_token: "a",
  });
});

Deno.test("pruned model: a file that was there when the model was opened and is gone is an error that names it", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const { name } of Deno.readDirSync(LLAMA)) {
      await Deno.copyFile(join(LLAMA, name), join(dir, name));
    }
    for (const gone of ["generation_config.json", "chat_template.jinja", "LICENSE"]) {
      await Deno.writeTextFile(join(dir, gone), "{}");
      const model = await openModel(new FileFolder(dir));
      await Deno.remove(join(dir, gone));
      await assert.rejects(write(model, densePlan(model.architecture, DIGEST)), (error: Error) => {
        assert.ok(error instanceof CheckpointFormatError, String(error));
        assert.match(error.message, new RegExp(`${gone}: the file was there when .* is gone`));
        return true;
      });
      model[Symbol.dispose]();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** The fixture of a Llama with further files, or others of the same name. */
async function withFiles(files: Record<string, string | Uint8Array>): Promise<MemoryFolder> {
  const family = new FileFolder(LLAMA);
  return new MemoryFolder("m", {
    "config.json": await family.readBytes("config.json", 1e6),
    "model.safetensors": await family.readBytes("model.safetensors", 1e6),
    ...files,
  });
}

Deno.test("pruned model: a sink that fails at any point leaves no part of a file, and no config.json", async () => {
  const model = await open("llama-mha");
  const plan = uniformPlan(model.architecture, 1, 8);
  let failures = 0;
  for (let failAt = 0;; failAt++) {
    const dir = await Deno.makeTempDir();
    try {
      let operation = 0, failing = "";
      const step = (file: string) => {
        if (operation++ !== failAt) return;
        failing = file;
        throw new Error("disk full");
      };
      const openSink = async (file: string): Promise<ByteSink> => {
        const sink = await FileSink.open(join(dir, file));
        return {
          write: async (bytes) => (step(file), await sink.write(bytes)),
          commit: async () => (step(file), await sink.commit()),
          abort: () => sink.abort(),
        };
      };
      const done = await writePrunedModel(model, plan, openSink, { maxShardBytes: 10_000 })
        .then(() => true, (error) => {
          assert.equal(error.message, "disk full");
          return false;
        });
      const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
      if (done) {
        assert.equal(failing, "");
        assert.ok(names.includes("config.json"));
        break;
      }
      failures += 1;
      assert.ok(!names.includes("config.json"), `config.json exists after failure ${failAt}`);
      assert.ok(!names.includes(failing));
      assert.deepEqual(names.filter((name) => name.endsWith(".partial")), []);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }
  assert.ok(failures > 20, `${failures} points of failure`);
  model[Symbol.dispose]();
});

Deno.test("pruned model: a plan for another model is refused before any file is opened", async () => {
  const model = await open("llama-mha");
  const dense = densePlan(model.architecture, DIGEST);
  const change = (layer: object): PrunePlan => ({
    ...dense,
    layers: dense.layers.map((l, i) => i === 1 ? { ...l, ...layer } : l),
  });
  const { channels } = sizeOf(model.architecture.blocks.find(({ id }) => id === "1.mlp")!);
  const refused: [PrunePlan, RegExp][] = [
    [{ ...dense, layers: dense.layers.slice(1) }, /plan describes \d+ layers and the model has/],
    [change({ mlp: { channels: [channels] } }), /channels of the mlp of layer 1; .*below/],
    [change({ mlp: { channels: [2, 1] } }), /lists 1 among the channels of the mlp of layer 1/],
    [change({ mlp: { channels: [] } }), /keeps none of the channels of the mlp of layer 1/],
    [
      change({ attention: { kvGroups: [99] } }),
      /lists 99 among the kvGroups of the attention of layer 1/,
    ],
  ];
  for (const [plan, message] of refused) {
    const opened: string[] = [];
    const write = writePrunedModel(model, plan, (file) => {
      opened.push(file);
      return Promise.resolve(new MemorySink());
    });
    await assert.rejects(write, (error) => {
      assert.ok(error instanceof PlanError, String(error));
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(opened, []);
  }
  model[Symbol.dispose]();
});

Deno.test("pruned model: a config sends tokens to no more experts than are left, by its family's keys", async () => {
  const keys = {
    mixtral: "num_local_experts",
    qwen3_moe: "num_experts",
    gpt_oss: "num_local_experts",
  };
  for (const [family, key] of Object.entries(keys)) {
    const model = await open(family);
    const { blocks } = model.architecture;
    const keeping = (experts: readonly number[]): PrunePlan =>
      planOfKept(
        model.architecture,
        allKept(blocks).map((all, i) => blocks[i].routing ? { ...all, experts } : all),
        { modelDigest: DIGEST, removalOrder: [] },
      );
    const { topK } = blocks.find(({ routing }) => routing)!.routing!;
    for (const kept of [[2], [0, 1, 2, 4]]) {
      const { files, folder } = await write(model, keeping(kept));
      const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
      const said = [config[key], config.num_experts_per_tok];
      assert.deepEqual(said, [kept.length, Math.min(topK, kept.length)], family);
      using pruned = await openModel(folder);
      assert.deepEqual(pruned.architecture.blocks[1].dimensions[0].units, kept.length);
    }
    model[Symbol.dispose]();
  }
});

Deno.test("pruned model: numbers of mixtures that transformers takes as float alone keep their point", async () => {
  for (const [family, key] of [["mixtral", "router_jitter_noise"], ["gpt_oss", "swiglu_limit"]]) {
    const model = await open(family);
    const described = { ...model, config: { ...model.config, [key]: 7 } };
    const { files } = await write(described, densePlan(model.architecture, DIGEST));
    const text = new TextDecoder().decode(files["config.json"]);
    assert.match(text, new RegExp(`"${key}": 7\\.0,`), family);
    model[Symbol.dispose]();
  }
});
