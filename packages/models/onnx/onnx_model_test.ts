import { assertRangesOfWeights } from "../testing/assert_ranges.ts";
import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { type Model, modelDigest } from "../model.ts";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "../open_model.ts";
import {
  changedFixture,
  fixtureFiles,
  onnxFixture,
  type OnnxModelProto,
} from "../testing/onnx_file.ts";
import { openTokenizer } from "@lopper/tokenizers";
import { openOnnxModel } from "./onnx_model.ts";
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from "onnx-buf";
import assert from "node:assert/strict";

const open = (name: string) => openModel(new FileFolder(onnxFixture(name)));

async function refuses(folder: MemoryFolder, kind: unknown, message: RegExp) {
  await assert.rejects(openModel(folder), (error) => {
    assert.ok(error instanceof (kind as typeof Error), String(error));
    assert.match(error.message, message);
    return true;
  });
}

/** Weights of two models are the same numbers; `dtypes` says whether they are the same bytes. */
async function sameWeights(model: Model, twin: Model, dtypes = true) {
  assert.deepEqual(model.architecture, twin.architecture);
  assert.equal(model.weights.length, twin.weights.length);
  for (const [i, { role, tensor }] of model.weights.entries()) {
    const other = twin.weights[i];
    assert.deepEqual([role, tensor.name, tensor.shape], [
      other.role,
      other.tensor.name,
      other.tensor.shape,
    ]);
    if (dtypes) assert.equal(tensor.dtype, other.tensor.dtype, tensor.name);
    assert.deepEqual(
      await model.store.readFloat32(tensor.name),
      await twin.store.readFloat32(tensor.name),
      tensor.name,
    );
  }
}

Deno.test("ONNX model: what optimum exported has the weights of its source, bit for bit", async () => {
  const [model, twin] = await Promise.all(
    ["llama-untied-optimum", "llama-untied"].map(open),
  );
  await sameWeights(model, twin);
  assert.equal(await modelDigest(model), await modelDigest(twin));
  assert.equal(model.weightBytes, twin.weightBytes);
  const text = "the cat was in a tree";
  using ours = await openTokenizer(model.folder);
  using theirs = await openTokenizer(twin.folder);
  assert.deepEqual(await ours.encode(text), await theirs.encode(text));
  model[Symbol.dispose]();
  twin[Symbol.dispose]();
});

Deno.test("ONNX model: float16 with weights beside the graph, in the layout of transformers.js", async () => {
  const [model, twin] = await Promise.all(["qwen2-tied-optimum", "qwen2-tied"].map(open));
  // PyTorch's exporter computes the output of attention in float32, and stores o_proj so.
  await sameWeights(model, twin, false);
  for (const { tensor } of model.weights) {
    assert.equal(tensor.dtype, tensor.name.endsWith("o_proj.weight") ? "F32" : "F16", tensor.name);
  }
  model[Symbol.dispose]();
  twin[Symbol.dispose]();
});

Deno.test("ONNX model: what the builder of onnxruntime-genai wrote has the weights and settings of its source", async () => {
  for (const name of ["llama-untied", "qwen2-tied", "qwen3-tied"]) {
    const [model, twin] = await Promise.all([`${name}-builder`, name].map(open));
    await sameWeights(model, twin);
    assert.equal(await modelDigest(model), await modelDigest(twin));
    using tokenizer = await openTokenizer(model.folder);
    assert.equal((await tokenizer.encode("the cat was in a tree")).length, 6);
    model[Symbol.dispose]();
    twin[Symbol.dispose]();
  }
});

Deno.test("ONNX model: a config.json beside what the builder wrote is preferred", async () => {
  const config = new TextDecoder().decode(fixtureFiles("llama-untied")["config.json"]);
  const folder = (text: string) =>
    new MemoryFolder("m", { ...fixtureFiles("llama-untied-builder"), "config.json": text });
  const { architecture } = await openModel(
    folder(config.replace('"max_position_embeddings": 64', '"max_position_embeddings": 48')),
  );
  assert.equal(architecture.maxPositions, 48);
  await refuses(
    folder(config.replace('"num_key_value_heads": 1', '"num_key_value_heads": 2')),
    UnsupportedModelError,
    /kv_num_heads of node "\/model\/layers\.0\/attn\/GroupQueryAttention" is 1; Lopper needs 2/,
  );
});

Deno.test("ONNX model: rotary angles of the graph and of config.json that differ are refused", async () => {
  const text = (name: string) => new TextDecoder().decode(fixtureFiles(name)["config.json"]);
  for (
    const [graph, config, changed, message] of [
      [
        "llama-untied-optimum",
        text("llama-untied-optimum").replaceAll("500000.0", "500100.0"),
        true,
        /model\.onnx: the rotary angles of the graph \(node "\/model\/rotary_emb\/MatMul"\) .* pair \d turn by \S+ radians a token, and by \S+ with rope_theta 500100;/,
      ],
      [
        "qwen2-tied-optimum",
        text("qwen2-tied-optimum").replaceAll("1000000.0", "10000.0"),
        true,
        /model_fp16\.onnx: the rotary angles of .* pair 1 turn by 0\.00100000 radians a token, and by 0\.0100000 /,
      ],
      [
        "llama-untied-builder",
        text("llama-untied").replaceAll("500000.0", "400000.0"),
        true,
        /the rotary angles of the graph \(cos_cache\) .* with rope_theta 400000/,
      ],
      ["llama-untied-builder", text("llama-untied"), false, /^/],
    ] as const
  ) {
    const folder = new MemoryFolder("m", { ...fixtureFiles(graph), "config.json": config });
    if (changed) await refuses(folder, UnsupportedModelError, message);
    else await openModel(folder);
  }
});

Deno.test("ONNX model: what the builder's files do not show is refused", async () => {
  const changed = (change: (model: OnnxModelProto) => void) =>
    changedFixture("llama-untied-builder", change);
  const attention = ({ graph }: OnnxModelProto, layer: number) =>
    find(graph!.node, `/model/layers.${layer}/attn/GroupQueryAttention`);
  const attribute = ({ attribute }: ReturnType<typeof attention>, name: string) =>
    find(attribute, name);
  const beside = /; put the model's config\.json beside genai_config\.json/;
  const refused = (change: (model: OnnxModelProto) => void, message: RegExp) =>
    refuses(changed(change), UnsupportedModelError, message);

  await refused((model) => {
    attribute(attention(model, 1), "local_window_size").i = 16n;
  }, /does not show the same window/);
  await refused((model) => {
    for (const layer of [0, 1]) attribute(attention(model, layer), "local_window_size").i = 16n;
  }, /local_window_size of .* is 16; Lopper needs the config's window \(none\)/);
  await refused((model) => {
    attention(model, 1).input[7] = "sin_cache";
  }, /one table of rotary angles for all layers/);
  await refused((model) => {
    for (const layer of [0, 1]) attention(model, layer).input[8] = "cos_cache";
  }, beside);
  const { "genai_config.json": json, ...files } = fixtureFiles("llama-untied-builder");
  await refuses(new MemoryFolder("m", files), CheckpointFormatError, /no file config\.json/);
  const settings = JSON.parse(new TextDecoder().decode(json));
  const described = (model: object, decoder: object = {}) =>
    new MemoryFolder("m", {
      ...files,
      "genai_config.json": JSON.stringify({
        model: { ...settings.model, decoder: { ...settings.model.decoder, ...decoder }, ...model },
      }),
    });
  await refuses(
    described({ type: "gemma2" }),
    UnsupportedModelError,
    /model\.onnx: gemma2 has norms whose gain is 1 \+ w, of which Lopper reads no graphs but its own; /,
  );
  await refuses(described({ type: "whisper" }), UnsupportedModelError, /model_type is "whisper"/);
  await refuses(
    described({}, { num_hidden_layers: 3 }),
    CheckpointFormatError,
    /layers\.2.* missing/,
  );
  await refuses(described({}, { head_size: 4 }), UnsupportedModelError, /scale of/);
  await refuses(
    described({ vocab_size: 41 }),
    CheckpointFormatError,
    /genai_config.json needs \[41/,
  );
  for (const outside of ["../x.onnx", "/x.onnx", "other.onnx"]) {
    await refuses(
      described({}, { filename: outside }),
      CheckpointFormatError,
      /no file|cannot leave/,
    );
  }
});

Deno.test("ONNX model: any range of bytes is that of the whole tensor, transposed or not", async () => {
  for (const name of ["llama-untied-optimum", "qwen2-tied-optimum", "qwen3-tied-builder"]) {
    const model = await open(name);
    await assertRangesOfWeights(model, [13, 70]);
    model[Symbol.dispose]();
  }
});

Deno.test("ONNX model: the initializer's name counts where the node has none, or one that says nothing", async () => {
  const folder = changedFixture("llama-untied-optimum", ({ graph }) => {
    const names = new Map<string, string>();
    for (const node of graph!.node) {
      const module = /^\/(.*_proj|lm_head)\/MatMul$/.exec(node.name)?.[1];
      if (module) {
        const name = `${module.replaceAll("/", ".")}.weight`;
        names.set(node.input[1], name);
        node.input[1] = name;
      }
      node.name = node.name.length % 2 === 0 ? "" : `n${node.output[0].length}`;
    }
    for (const tensor of graph!.initializer) tensor.name = names.get(tensor.name) ?? tensor.name;
  });
  const [model, twin] = await Promise.all([openModel(folder), open("llama-untied")]);
  await sameWeights(model, twin);
  twin[Symbol.dispose]();
});

Deno.test("ONNX model: a tied config does not hide a head that the graph has besides", async () => {
  const json = new TextDecoder().decode(fixtureFiles("llama-untied-optimum")["config.json"]);
  const tied = JSON.stringify({ ...JSON.parse(json), tie_word_embeddings: true });
  const own = changedFixture("llama-untied-optimum", () => {}, { "config.json": tied });
  const [model, twin] = await Promise.all([openModel(own), open("llama-untied")]);
  await sameWeights(model, twin);
  assert.match(
    model.notes[0],
    /lm_head\.weight is not the embedding, though by config\.json they are tied/,
  );
  twin[Symbol.dispose]();
  // the same numbers, stored the other way round, are tied
  const copied = changedFixture("llama-untied-optimum", ({ graph }) => {
    const tensor = (name: string) => graph!.initializer.find((t) => t.name === name)!;
    const embedding = tensor("model.embed_tokens.weight");
    const head = tensor(
      graph!.node.find(({ name }) => name === "/lm_head/MatMul")!.input[1],
    );
    const [rows, columns] = embedding.dims.map(Number);
    const values = new Float32Array(embedding.rawData.slice().buffer);
    const turned = values.map((_, i) => values[i % rows * columns + Math.floor(i / rows)]);
    head.rawData = new Uint8Array(turned.buffer);
  }, { "config.json": tied });
  const again = await openModel(copied);
  assert.equal(again.architecture.tiedEmbeddings, true);
  assert.deepEqual(again.notes, []);
});

/** Calls everything by numbers, but for what a graph takes and gives. */
function withoutNames({ graph }: OnnxModelProto) {
  const kept = new Set([...graph!.input, ...graph!.output].map(({ name }) => name));
  const names = new Map<string, string>();
  const rename = (name: string) => {
    if (name === "" || kept.has(name)) return name;
    if (!names.has(name)) names.set(name, `v${names.size}`);
    return names.get(name)!;
  };
  for (const tensor of graph!.initializer) tensor.name = rename(tensor.name);
  for (const node of graph!.node) {
    node.name = "";
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
  }
}

Deno.test("ONNX model: without any names, the structure of the graph says what weights are", async () => {
  for (const name of ["llama-untied-optimum", "qwen2-tied-optimum"]) {
    const [model, twin] = await Promise.all([
      openModel(changedFixture(name, withoutNames)),
      open(name),
    ]);
    await sameWeights(model, twin);
    twin[Symbol.dispose]();
  }
});

Deno.test("ONNX model: structure counts for what names leave open, norms of q and k and fused nodes included", async () => {
  const folder = changedFixture("qwen3-tied-builder", (model) => {
    unpack(model);
    withoutNames(model);
  });
  const [model, twin] = await Promise.all([openModel(folder), open("qwen3-tied-builder")]);
  await sameWeights(model, twin);
  twin[Symbol.dispose]();
});

/**
 * Makes three matrices of every one that holds q, k and v, as other versions of the builder write
 * them.
 */
function unpack({ graph }: OnnxModelProto) {
  const data = fixtureFiles("qwen3-tied-builder")["model.onnx.data"];
  for (const packed of graph!.node.filter(({ name }) => name.endsWith("qkv_proj/MatMul"))) {
    const split = graph!.node.find(({ input }) => input[0] === packed.output[0])!;
    const whole = find(graph!.initializer, packed.input[1]);
    const [rows, columns] = whole.dims.map(Number);
    const offset = Number(entryOf(whole.externalData, "offset").value);
    const values = new Float32Array(data.slice(offset, offset + 4 * rows * columns).buffer);
    let first = 0;
    const nodes = [32, 16, 16].map((width, i) => {
      const name = `${packed.name}_${i}`;
      const raw = new Float32Array(rows * width);
      for (let r = 0; r < rows; r++) {
        raw.set(values.subarray(r * columns + first, r * columns + first + width), r * width);
      }
      first += width;
      graph!.initializer.push(create(TensorProtoSchema, {
        name,
        dataType: 1,
        dims: [rows, width].map(BigInt),
        rawData: new Uint8Array(raw.buffer),
      }));
      const input = [packed.input[0], name];
      return create(NodeProtoSchema, { opType: "MatMul", name, input, output: [split.output[i]] });
    });
    graph!.node.splice(graph!.node.indexOf(split), 1);
    graph!.node.splice(graph!.node.indexOf(packed), 1, ...nodes);
    graph!.initializer.splice(graph!.initializer.indexOf(whole), 1);
  }
}

function entryOf(list: readonly { key: string; value: string }[], key: string) {
  return list.find((entry) => entry.key === key)!;
}

Deno.test("ONNX model: safetensors are taken where a folder has both, and a file by its path", async () => {
  const files = fixtureFiles("llama-untied-optimum");
  const both = new MemoryFolder("m", { ...files, ...fixtureFiles("llama-untied") });
  const model = await openModel(both);
  assert.match(model.weights[0].tensor.file, /safetensors$/);
  const named = await openOnnxModel(both, "model.onnx");
  assert.match(named.weights[0].tensor.file, /model\.onnx$/);
  await sameWeights(named, model);
});

Deno.test("ONNX model: a folder with several files and none of the usual names is refused", async () => {
  const { "model.onnx": graph, ...files } = fixtureFiles("llama-untied-optimum");
  const folder = (...names: string[]) =>
    new MemoryFolder("m", { ...files, ...Object.fromEntries(names.map((n) => [n, graph])) });
  await refuses(folder("a.onnx", "onnx/b.onnx"), UnsupportedModelError, /a\.onnx, onnx\/b\.onnx/);
  for (const names of [["a.onnx"], ["onnx/b.onnx"], ["onnx/b.onnx", "onnx/model.onnx"]]) {
    const { weights } = await openModel(folder(...names));
    assert.equal(weights[0].tensor.file, `m/${names.at(-1)}`);
  }
});

/** Graphs with one thing changed, and how they are refused. */
const REFUSED: readonly [string, (model: OnnxModelProto) => void, unknown, RegExp][] = [
  [
    "an operator that decoders do not have",
    ({ graph }) => find(graph!.node, "/model/layers.1/mlp/act_fn/Sigmoid").opType = "Tanh",
    UnsupportedModelError,
    /node "\/model\/layers\.1\/mlp\/act_fn\/Sigmoid" is Tanh/,
  ],
  [
    "a quantised matrix",
    ({ graph }) =>
      Object.assign(find(graph!.node, "/lm_head/MatMul"), {
        opType: "MatMulNBits",
        domain: "com.microsoft",
      }),
    UnsupportedModelError,
    /node "\/lm_head\/MatMul" is quantised \(MatMulNBits\).*model_fp16\.onnx/,
  ],
  [
    "dynamic quantisation",
    ({ graph }) => find(graph!.node, "/model/embed_tokens/Gather").opType = "DynamicQuantizeLinear",
    UnsupportedModelError,
    /"\/model\/embed_tokens\/Gather" is quantised/,
  ],
  [
    "branches",
    ({ graph }) => find(graph!.node, "/model/embed_tokens/Gather").opType = "If",
    UnsupportedModelError,
    /is If, which holds graphs of its own/,
  ],
  [
    "an adapter beside a matrix",
    ({ graph }) => {
      const up = find(graph!.node, "/model/layers.0/mlp/up_proj/MatMul");
      const [x, y] = [up.input[0], up.output[0]];
      up.output[0] = "plain";
      const node = (name: string, opType: string, input: string[], output: string) =>
        create(NodeProtoSchema, {
          name: `/model/layers.0/mlp/up_proj/${name}`,
          opType,
          input,
          output: [output],
        });
      const tensor = (name: string, dims: bigint[], size: number) =>
        create(TensorProtoSchema, { name, dims, dataType: 1, rawData: new Uint8Array(4 * size) });
      graph!.initializer.push(tensor("a", [8n, 2n], 16), tensor("b", [2n, 12n], 24));
      graph!.node.splice(
        graph!.node.indexOf(up) + 1,
        0,
        node("lora_A/MatMul", "MatMul", [x, "a"], "low"),
        node("lora_B/MatMul", "MatMul", ["low", "b"], "change"),
        node("Add", "Add", ["plain", "change"], y),
      );
    },
    UnsupportedModelError,
    /node "\/model\/layers\.0\/mlp\/up_proj\/lora_A\/MatMul" \(MatMul\) uses the tensor "a" \[8, 2\]/,
  ],
  [
    "a chain of other blocks than a decoder's, without names,",
    (model) => {
      // The second layer's gate reads what the norm reads, too.
      const gate = find(model.graph!.node, "/model/layers.1/mlp/gate_proj/MatMul");
      gate.input[0] = "/model/layers.1/Add_output_0";
      withoutNames(model);
    },
    UnsupportedModelError,
    /the node that makes "v\d+" \(\w+\) uses the tensor .*, and neither names nor the structure/,
  ],
  [
    "a role that two tensors have",
    ({ graph }) =>
      find(graph!.node, "/model/layers.0/mlp/up_proj/MatMul").name =
        "/model/layers.0/mlp/gate_proj/MatMul",
    CheckpointFormatError,
    /takes it for gate of layer 0's mlp/,
  ],
  [
    "a weight less",
    ({ graph }) => {
      graph!.node.splice(
        graph!.node.findIndex(({ name }) => name === "/model/layers.1/mlp/down_proj/MatMul"),
        1,
      );
    },
    CheckpointFormatError,
    /"model\.layers\.1\.mlp\.down_proj\.weight": the tensor is missing/,
  ],
  [
    "a matrix of another shape",
    ({ graph }) => {
      const name = find(graph!.node, "/model/layers.1/mlp/down_proj/MatMul").input[1];
      find(graph!.initializer, name).dims.reverse();
    },
    CheckpointFormatError,
    /its shape is \[12, 8\] and config\.json needs \[8, 12\]/,
  ],
  [
    "more bytes than its shape",
    ({ graph }) => find(graph!.initializer, "model.norm.weight").rawData = new Uint8Array(33),
    CheckpointFormatError,
    /"model\.norm\.weight", byte \d+: 33 bytes are declared for it and its shape needs 32/,
  ],
  [
    "float64",
    ({ graph }) => find(graph!.initializer, "model.norm.weight").dataType = 11,
    UnsupportedModelError,
    /"model\.norm\.weight": it is float64/,
  ],
  [
    "values as protobuf numbers",
    ({ graph }) => {
      const tensor = find(graph!.initializer, "model.norm.weight");
      tensor.rawData = new Uint8Array(0);
      tensor.doubleData = [1, 2, 3];
    },
    CheckpointFormatError,
    /"model\.norm\.weight"/,
  ],
  [
    "a tensor twice",
    ({ graph }) => graph!.initializer.push(find(graph!.initializer, "model.norm.weight")),
    CheckpointFormatError,
    /"model\.norm\.weight": the graph names it twice/,
  ],
  [
    "a value twice",
    ({ graph }) => graph!.node.push(find(graph!.node, "/lm_head/MatMul")),
    CheckpointFormatError,
    /the value "logits" of node "\/lm_head\/MatMul" is made twice/,
  ],
  [
    "no graph",
    (model) => model.graph = undefined,
    CheckpointFormatError,
    /there is no graph in it/,
  ],
];

function find<T extends { name: string }>(list: readonly T[], name: string): T {
  const found = list.find((entry) => entry.name === name);
  assert.ok(found, `the fixture has no ${name}`);
  return found;
}

for (const [what, change, kind, message] of REFUSED) {
  Deno.test(`ONNX model: ${what} is refused`, () =>
    refuses(changedFixture("llama-untied-optimum", change), kind, message));
}

Deno.test("ONNX model: weights beside the graph are those in its folder, and nowhere else", async () => {
  const at = (location: string, offset?: string) =>
    changedFixture("qwen2-tied-optimum", ({ graph }) => {
      const tensor = graph!.initializer.find(({ name }) => name === "model.embed_tokens.weight")!;
      const entry = (key: string) => tensor.externalData.find((entry) => entry.key === key)!;
      entry("location").value = location;
      if (offset !== undefined) entry("offset").value = offset;
    });
  const { weights } = await openModel(at("./model_fp16.onnx_data"));
  assert.equal(weights[0].tensor.file, "m/onnx/model_fp16.onnx_data");
  for (const outside of ["../config.json", "/etc/passwd", "..", "a/../../b", "a\\b", "", "c:d"]) {
    await refuses(at(outside), CheckpointFormatError, /cannot leave the model's folder/);
  }
  await refuses(at("other"), CheckpointFormatError, /there is no file other/);
  const file = "model_fp16.onnx_data";
  await refuses(at(file, "5700"), CheckpointFormatError, /it takes 640 bytes from there and the/);
  for (const odd of ["-1", "1e3", "0x10", "99999999999999999999", ""]) {
    await refuses(at(file, odd), CheckpointFormatError, /the offset of its external data is/);
  }
});

Deno.test("ONNX model: nodes that compute something else than the config says are refused", async () => {
  const fused = (op: string, attributes: Readonly<Record<string, number>>) =>
    changedFixture(
      "llama-untied-optimum",
      ({ graph }) =>
        void graph!.node.push(create(NodeProtoSchema, {
          name: "/fused",
          opType: op,
          domain: "com.microsoft",
          output: ["unused"],
          attribute: Object.entries(attributes).map(([name, value]) =>
            create(
              AttributeProtoSchema,
              Number.isInteger(value)
                ? { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) }
                : { name, type: AttributeProto_AttributeType.FLOAT, f: value },
            )
          ),
        })),
    );
  const attention = "GroupQueryAttention";
  const fits = {
    num_heads: 2,
    kv_num_heads: 1,
    scale: 0.25,
    local_window_size: -1,
    softcap: 0,
  };
  const refused = (op: string, attributes: Readonly<Record<string, number>>, message: RegExp) =>
    refuses(fused(op, attributes), UnsupportedModelError, message);
  // These are the fixture's: only what is added is wrong.
  await openModel(fused(attention, fits));
  await refused(attention, { ...fits, num_heads: 8 }, /num_heads of node "\/fused" is 8.* 2, as/);
  await refused(attention, { ...fits, kv_num_heads: 4 }, /kv_num_heads of .* is 4; Lopper needs 1/);
  await refused(attention, { ...fits, softcap: 30.5 }, /softcap of .* is 30\.5; Lopper needs 0/);
  await refused(attention, { ...fits, scale: 0.5 }, /scale of .* is 0\.5; Lopper needs 0\.25/);
  await refused(attention, { ...fits, rotary_interleaved: 1 }, /rotary_interleaved of .* is 1/);
  await refused(attention, { ...fits, local_window_size: 9 }, /config's window \(none\)/);
  await refused("SkipSimplifiedLayerNormalization", { epsilon: 1e-6 }, /rms_norm_eps/);
  await refused("RotaryEmbedding", { interleaved: 1 }, /interleaved of .* is 1; Lopper needs 0/);
  await refused("QuickGelu", {}, /alpha of .* is 1\.702/);
});

/** Graphs whose names are right and whose wires are not, and how they are refused. */
const REWIRED: readonly [
  string,
  string,
  (graph: NonNullable<OnnxModelProto["graph"]>) => void,
  RegExp,
][] = [
  [
    "a gate that reads another layer's norm",
    "llama-untied-optimum",
    ({ node }) => {
      const [first, second] = [0, 1].map((i) =>
        find(node, `/model/layers.${i}/mlp/gate_proj/MatMul`)
      );
      second.input[0] = first.input[0];
    },
    /node "\/model\/layers\.1\/mlp\/gate_proj\/MatMul" \(gate of layer 1's mlp\) is computed from norm of layer 0's mlp instead of norm of layer 1's mlp; no model/,
  ],
  [
    "keys and values that change places",
    "llama-untied-optimum",
    ({ node }) => {
      swapOutputs(
        ...["k", "v"].map((n) => find(node, `/model/layers.0/self_attn/${n}_proj/MatMul`)),
      );
    },
    /the cache "present\.0\.\w+" is computed from [kv] of layer 0's attention instead of [kv] of/,
  ],
  [
    "an activation of the wrong matrix",
    "llama-untied-optimum",
    ({ node }) => {
      swapOutputs(...["gate", "up"].map((n) => find(node, `/model/layers.1/mlp/${n}_proj/MatMul`)));
    },
    /act_fn\/Sigmoid" is computed from up of layer 1's mlp instead of the gate of an MLP/,
  ],
  [
    "a residual that passes an MLP by",
    "llama-untied-optimum",
    ({ node }) => {
      const add = find(node, "/model/layers.0/Add_1");
      const down = find(node, "/model/layers.0/mlp/down_proj/MatMul").output[0];
      add.input = add.input.map((name) =>
        name === down ? add.input.find((n) => n !== down)! : name
      );
    },
    /\(norm of layer 1's attention\) is not computed from down of layer 0's mlp;/,
  ],
  [
    "fused nodes in which a norm reads the embedding",
    "llama-untied-builder",
    ({ node }) => {
      const norm = find(node, "/model/layers.1/input_layernorm/SkipLayerNorm");
      norm.input[0] = find(node, "/model/embed_tokens/Gather").output[0];
    },
    /\(norm of layer 1's attention\) is not computed from o of layer 0's attention;/,
  ],
  [
    "fused attention on the values of another layer",
    "llama-untied-builder",
    ({ node }) => {
      const [first, second] = [0, 1].map((i) =>
        find(node, `/model/layers.${i}/attn/GroupQueryAttention`)
      );
      second.input[0] = first.input[0];
    },
    /\(o of layer 1's attention\) is computed from qkv of layer 0's attention instead of qkv of layer 1's/,
  ],
  [
    "a head that reads the hidden states before their norm",
    "qwen3-tied-builder",
    ({ node }) => {
      const down = find(node, "/model/layers.1/mlp/down_proj/MatMul");
      find(node, "/lm_head/MatMul").input[0] = down.output[0];
    },
    /\(lmHead\) is computed from down of layer 1's mlp instead of finalNorm/,
  ],
  [
    "a bias that is another matrix's",
    "qwen2-tied-builder",
    ({ node }) => {
      const add = find(node, "/model/layers.0/attn/qkv_proj/Add");
      const norm = find(node, "/model/layers.0/attn/qkv_proj/MatMul").input[0];
      add.input = add.input.map((name) => name.endsWith("output_0") ? norm : name);
    },
    /\(qkv_bias of layer 0's attention\) is computed from norm of layer 0's attention instead of qkv of/,
  ],
];

function swapOutputs(...[a, b]: { output: string[] }[]) {
  [a.output, b.output] = [b.output, a.output];
}

for (const [what, fixture, change, message] of REWIRED) {
  Deno.test(`ONNX model: ${what} is refused`, () =>
    refuses(
      changedFixture(fixture, ({ graph }) => change(graph!)),
      UnsupportedModelError,
      message,
    ));
}
