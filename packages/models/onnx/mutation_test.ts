import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CheckpointFormatError, LopperError, UnsupportedModelError } from "@lopper/core";
import { type ByteSource, MemoryFolder } from "@lopper/formats";
import {
  assertGrownWithin,
  bytesChanged,
  HeldMemory,
  measuredProcess,
  type Mutation,
  spliced,
} from "@lopper/formats/testing";
import { openModel } from "../open_model.ts";
import { fixtureFiles, type OnnxModelProto } from "../testing/onnx_file.ts";
import { ModelProtoSchema } from "onnx-buf";
import assert from "node:assert/strict";
import fc from "fast-check";

const MUTATIONS = 10_000;
/** What reading hostile files one after the other may leave behind. */
const ALLOWANCE_BYTES = 64 * 1024 * 1024;
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 20_260_101);

const GRAPH = "model.onnx", DATA = "model.onnx.data";
type Files = Readonly<Record<string, Uint8Array>>;
/**
 * A graph of one layer, with q, k and v in one matrix and a bias; its weights in a file beside it.
 */
const BESIDE: Files = fixtureFiles("qwen2-tied-builder");
/** The same with its weights inside, and a config.json. */
const INSIDE: Files = {
  "config.json": fixtureFiles("qwen2-tied")["config.json"],
  [GRAPH]: changed(BESIDE[GRAPH], ({ graph }) => {
    for (const tensor of graph!.initializer) {
      const [offset, length] = ["offset", "length"].map((name) =>
        Number(tensor.externalData.find(({ key }) => key === name)!.value)
      );
      tensor.rawData = BESIDE[DATA].slice(offset, offset + length);
      tensor.externalData = [];
      tensor.dataLocation = 0;
    }
  }),
};

function changed(file: Uint8Array, change: (model: OnnxModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, file);
  change(model);
  return toBinary(ModelProtoSchema, model);
}

const position = fc.nat(INSIDE[GRAPH].length - 1);

/** Bits and bytes anywhere, and numbers of up to ten bytes in the place of tags and lengths. */
const byteMutation: fc.Arbitrary<Mutation> = fc.oneof(
  ...bytesChanged(position),
  fc.tuple(position, fc.integer({ min: 1, max: 11 }), fc.nat(127)).map(
    ([at, length, last]): Mutation => (file) =>
      spliced(file, at, 1, new Uint8Array(length).fill(255).with(length - 1, last)),
  ),
);

const odd = fc.constantFrom(0n, 1n, 3n, 8n, 16n, 40n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, -1n);
const text = fc.constantFrom(
  ...["", "/", "..", "../config.json", "config.json", "__proto__", "lm_head.MatMul.weight"],
  ...["/model/layers.0/attn/q_proj/MatMul", "/model/layers.9999/mlp/up_proj/MatMul", "cos_cache"],
  ...["model.layers.0.input_layernorm.weight", "/lm_head/MatMul", "logits", "🙂", "input_ids"],
);
const operator = fc.constantFrom(
  ...["MatMul", "Gemm", "Add", "Mul", "Gather", "Transpose", "Cast", "Identity", "Constant", "Sin"],
  ...["SimplifiedLayerNormalization", "RotaryEmbedding", "Shape", "constructor", "", "MatMulNBits"],
);
/** An entry of a list, whatever its length. */
const one = <T>(list: readonly T[], at: number): T | undefined => list[at % list.length];

/** Graphs that are well-formed, and say something else. */
const graphMutation: fc.Arbitrary<(model: OnnxModelProto) => void> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(3), odd).map(([at, axis, n]) => ({ graph }: OnnxModelProto) => {
    const tensor = one(graph!.initializer, at);
    if (tensor) tensor.dims[Math.min(axis, tensor.dims.length)] = n;
  }),
  fc.tuple(fc.nat(), fc.constantFrom(0, 1, 2, 7, 10, 11, 16, 17, 99)).map(
    ([at, type]) => ({ graph }: OnnxModelProto) => {
      const tensor = one(graph!.initializer, at);
      if (tensor) tensor.dataType = type;
    },
  ),
  fc.tuple(fc.nat(), fc.constantFrom("location", "offset", "length", "x"), fc.oneof(text, odd)).map(
    ([at, key, value]) => ({ graph }: OnnxModelProto) => {
      const entry = one(graph!.initializer, at)?.externalData.find((entry) => entry.key === key);
      if (entry) entry.value = String(value);
    },
  ),
  fc.tuple(fc.nat(), text).map(([at, name]) => ({ graph }: OnnxModelProto) => {
    const tensor = one(graph!.initializer, at);
    if (tensor) tensor.name = name;
  }),
  fc.tuple(fc.nat(), text).map(([at, name]) => ({ graph }: OnnxModelProto) => {
    const node = one(graph!.node, at);
    if (node) node.name = name;
  }),
  fc.tuple(fc.nat(), operator, fc.constantFrom("", "com.microsoft", "ai.onnx", "x")).map(
    ([at, op, domain]) => ({ graph }: OnnxModelProto) => {
      const node = one(graph!.node, at);
      if (node) Object.assign(node, { opType: op, domain });
    },
  ),
  fc.tuple(fc.nat(), fc.nat(), fc.nat(8), fc.boolean()).map(
    ([at, from, index, outputs]) => ({ graph }: OnnxModelProto) => {
      // The values of another node, or a tensor: cycles and wrong wires.
      const [node, other] = [one(graph!.node, at), one(graph!.node, from)];
      const value = outputs ? other?.output[0] : one(graph!.initializer, from)?.name;
      if (node && value !== undefined && index < node.input.length) node.input[index] = value;
    },
  ),
  fc.tuple(fc.nat(), odd, fc.constantFrom(0, 1.5, -1, NaN, Infinity)).map(
    ([at, i, f]) => ({ graph }: OnnxModelProto) => {
      const attributes = graph!.node.flatMap(({ attribute }) => attribute);
      const attribute = one(attributes, at);
      if (attribute) Object.assign(attribute, attribute.f === 0 ? { i } : { f });
    },
  ),
  fc.tuple(fc.nat(), fc.boolean(), fc.boolean()).map(
    ([at, nodes, twice]) => ({ graph }: OnnxModelProto) => {
      const list: unknown[] = nodes ? graph!.node : graph!.initializer;
      const index = at % list.length;
      if (twice) list.push(list[index]);
      else list.splice(index, 1);
    },
  ),
  fc.constantFrom("lopper", "pytorch", "").map((name) => (model: OnnxModelProto) => {
    model.producerName = name;
  }),
);

const SETTINGS = /"(?:hidden_size|num_\w+|head_\w+|vocab_size|context_length|type|filename)": /g;
/** Other settings in the JSON beside the graph. */
const jsonMutation = fc.tuple(
  fc.nat(20),
  fc.constantFrom("0", "1", "3", "8", "16", "4097", "1e99", "-1", "null", '"llama"', '"a/b"', "[]"),
).map(([at, value]): Mutation => (json) => {
  const text = new TextDecoder().decode(json);
  const keys = [...text.matchAll(SETTINGS)];
  const { index, 0: key } = keys[at % keys.length];
  const start = index + key.length;
  return new TextEncoder().encode(
    text.slice(0, start) + text.slice(start).replace(/^[^,\n}]*/, value),
  );
});

/** Something in one file of eight. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: fc.constant(null), weight: 7 }, { arbitrary, weight: 1 });

const mutated: fc.Arbitrary<Files> = fc.tuple(
  fc.constantFrom(BESIDE, INSIDE),
  fc.oneof(
    fc.array(byteMutation, { minLength: 1, maxLength: 3 }).map((all) => ({ graph: [], all })),
    fc.tuple(
      fc.array(graphMutation, { minLength: 1, maxLength: 3 }),
      fc.array(byteMutation, { maxLength: 1 }),
    ).map(([graph, all]) => ({ graph, all })),
  ),
  seldom(jsonMutation),
  seldom(fc.nat(BESIDE[DATA].length)),
).map(([files, { graph, all }, json, cut]) => {
  const model = graph.length === 0
    ? files[GRAPH]
    : changed(files[GRAPH], (model) => graph.forEach((mutate) => mutate(model)));
  const config = files === BESIDE ? "genai_config.json" : "config.json";
  return {
    ...files,
    [GRAPH]: all.reduce((bytes, mutate) => mutate(bytes), model),
    ...(json && { [config]: json(files[config]) }),
    // Half of them are shorter then, and half hold four bytes that are no finite number.
    ...(cut !== null && {
      [DATA]: cut % 2 === 0
        ? BESIDE[DATA].slice(0, cut)
        : BESIDE[DATA].slice().fill(255, cut, cut + 4),
    }),
  };
});

/** Counts sources that are open, and notes that nothing behind an end is asked for. */
class WatchedFolder extends MemoryFolder {
  opened = 0;

  override async open(file: string): Promise<ByteSource> {
    const source = await super.open(file);
    this.opened += 1;
    let open = true;
    return {
      name: source.name,
      size: source.size,
      read: (offset, length) => {
        const end = offset + length;
        assert.ok(open && end <= source.size, `${length} bytes from ${offset} of ${source.size}`);
        return source.read(offset, length);
      },
      close: () => {
        if (open) this.opened -= 1;
        open = false;
      },
    };
  }
}

/**
 * Runs `use`. True when it worked, false when it was refused with a typed error that names the
 * file.
 */
async function works(use: () => Promise<void>): Promise<boolean> {
  try {
    await use();
    return true;
  } catch (error) {
    if (!(error instanceof LopperError)) throw error;
    assert.ok(
      error instanceof CheckpointFormatError || error instanceof UnsupportedModelError,
      String(error),
    );
    assert.match(error.message, /^m[/:, ]/);
    return false;
  }
}

Deno.test(`ONNX: ${MUTATIONS} mutated models give a typed error or a model that can be read`, async () => {
  let done = 0, opened = 0, readable = 0;
  const memory = new HeldMemory(MUTATIONS);
  await fc.assert(
    fc.asyncProperty(mutated, async (files) => {
      memory.sample();
      done += 1;
      const folder = new WatchedFolder("m", files);
      const opens = await works(async () => {
        const model = await openModel(folder);
        opened += 1;
        const whole = await works(async () => {
          for (const { tensor } of model.weights) {
            const { length } = await model.store.readBytes(tensor.name);
            assert.equal(length, tensor.byteLength);
            await model.store.readFloat32(tensor.name);
          }
        });
        if (whole) readable += 1;
        model[Symbol.dispose]();
      });
      assert.equal(folder.opened, 0, opens ? "closed with the model" : "closed when refused");
    }),
    { numRuns: MUTATIONS, seed: SEED, endOnFailure: true },
  );
  const { grown } = memory;
  console.log(
    `seed ${SEED}: ${opened} opened, ${readable} with finite weights, ${done - opened} refused, ` +
      `${(grown / 1e6).toFixed(0)} MB grown`,
  );
  assert.equal(done, MUTATIONS);
  // all must occur for the property to mean anything
  assert.ok(readable > 500 && opened > readable && done - opened > 1000);
  assert.ok(grown < ALLOWANCE_BYTES, `${grown} bytes grown over all files`);
});

for (
  const [kind, outcome] of [
    ["nodes", /^196000 nodes/],
    ["nodes of one input and output", /^65000 nodes/],
    ["inputs", /^1 nodes/],
    ["attributes", /^1 nodes/],
    ["initializers", / 196000 tensors/],
    ["dimensions", / 1 tensors/],
    ["external data", / 1 tensors/],
    ["long names", /^1000 nodes/],
    ["chains", /^65000 nodes/],
    ["too many nodes", /^CheckpointFormatError.* more nodes and names than Lopper reads/],
    ["too many dimensions", /^CheckpointFormatError.* more nodes and names than Lopper reads/],
  ] as const
) {
  Deno.test({
    name: `ONNX: a graph of ${kind} costs at most the file and 64 MiB`,
    // Only Linux says how much memory a process had at its highest.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const script = new URL("../testing/measure_onnx_graph.ts", import.meta.url);
      const measured = await measuredProcess(script, kind);
      assert.match(measured.outcome, outcome);
      assertGrownWithin(measured, ALLOWANCE_BYTES);
      console.log(`${(measured.grown / 2 ** 20).toFixed(0)} MiB`);
    },
  });
}
