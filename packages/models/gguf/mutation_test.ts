import { CheckpointFormatError, LopperError, UnsupportedModelError } from "@lopper/core";
import { type ByteSource, MemorySource, readGgufHeader } from "@lopper/formats";
import {
  assertGrownWithin,
  bytesChanged,
  type Entry,
  HeldMemory,
  measuredProcess,
  type Mutation,
  spliced,
} from "@lopper/formats/testing";
import { tinyGguf, tinyTensor, TOKENS } from "../testing/tiny_gguf.ts";
import { readTokenizerFiles, TokenizerEngine, type TokenizerFiles } from "@lopper/tokenizers";
import { openGgufModel } from "./gguf_model.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

const MUTATIONS = 10_000;
/** What reading hostile files one after the other may leave behind. */
const ALLOWANCE_BYTES = 64 * 1024 * 1024;
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 20_260_101);

const VALID = tinyGguf();
/**
 * Where the data begins: it is most of the file, and two mutations of three hit what comes before.
 */
const HEADER = (await readGgufHeader(new MemorySource("m", VALID)))
  .tensors.get("token_embd.weight")!.offset;

const position = fc.oneof(
  { arbitrary: fc.nat(HEADER), weight: 2 },
  { arbitrary: fc.nat(VALID.length - 1), weight: 1 },
);

/**
 * Bits and bytes anywhere, and numbers of eight bytes in the place of lengths, counts and offsets.
 */
const byteMutation: fc.Arbitrary<Mutation> = fc.oneof(
  ...bytesChanged(position),
  fc.tuple(
    position,
    fc.oneof(
      fc.constantFrom(0n, 1n, 255n, 2n ** 16n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    ),
  ).map(([at, value]): Mutation => (file) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return spliced(file, at, 8, bytes);
  }),
);

const COUNTS = [
  ...["block_count", "context_length", "embedding_length", "feed_forward_length"],
  ...["attention.head_count", "attention.head_count_kv", "rope.dimension_count", "vocab_size"],
  ...["attention.key_length", "attention.value_length", "attention.sliding_window"],
].map((name) => `llama.${name}`);
const odd = fc.oneof(fc.constantFrom(0, 1, 2, 3, 7, 8, 32, 64, 4097, 2 ** 31 - 1), fc.nat(2 ** 31));

/** Entries of other values and types. */
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.tuple(fc.constantFrom(...COUNTS), odd).map(([key, n]): Entry => [key, "uint32", n]),
  fc.tuple(fc.constantFrom(...COUNTS), fc.array(odd, { maxLength: 3 })).map(
    ([key, list]): Entry => [key, "array", "int32", list],
  ),
  fc.tuple(
    fc.constantFrom(...COUNTS, "general.architecture", "tokenizer.ggml.model", "__proto__"),
    fc.constantFrom("", "llama", "qwen2", "qwen3", "mistral", "gpt2", "ü"),
  ).map(([key, text]): Entry => [key, "string", text]),
  fc.tuple(
    fc.constantFrom("llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base"),
    fc.constantFrom(0, -1, NaN, Infinity, 1e-45, 1),
  ).map(([key, n]): Entry => [key, "float32", n]),
  fc.constantFrom(0, 1, 8, 12, 64, 2 ** 30).map((n): Entry => ["general.alignment", "uint32", n]),
  fc.constantFrom("default", "smollm", "qwen2", "llama-bpe", "x").map(
    (pre): Entry => ["tokenizer.ggml.pre", "string", pre],
  ),
  fc.array(fc.constantFrom(...TOKENS, "", "__proto__", "constructor", "🙂"), { maxLength: 8 }).map(
    (tokens): Entry => ["tokenizer.ggml.tokens", "array", "string", tokens],
  ),
  fc.array(fc.constantFrom("a b", "Ġ ab", "a  b", " ", "", "ab", "x y"), { maxLength: 4 }).map(
    (merges): Entry => ["tokenizer.ggml.merges", "array", "string", merges],
  ),
  fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 9 }).map(
    (types): Entry => ["tokenizer.ggml.token_type", "array", "int32", types],
  ),
  fc.tuple(fc.constantFrom("bos", "eos", "unknown", "padding"), fc.nat(9)).map(
    ([name, id]): Entry => [`tokenizer.ggml.${name}_token_id`, "uint32", id],
  ),
);

const TENSOR_NAMES = ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.ffn_down.weight"];

/** Tensors of other names, shapes, types and places. */
const tensor = fc.record({
  from: fc.constantFrom(...TENSOR_NAMES),
  name: fc.constantFrom(
    ...TENSOR_NAMES,
    ...["output.weight", "rope_freqs.weight", "blk.1.ffn_up.weight", "blk.00.ffn_up.weight"],
    ...["blk.0.attn_q.bias", "", "x", "__proto__"],
  ),
  dims: fc.option(fc.array(fc.constantFrom(1, 2, 8, 32, 64, 2 ** 32, 2 ** 53), { maxLength: 5 })),
  type: fc.option(fc.constantFrom(0, 1, 2, 3, 8, 9, 12, 14, 20, 30, 39, 1000)),
  offset: fc.option(fc.constantFrom(0, 1, 32, 64, 4096, 2 ** 40)),
}).map(({ from, name, dims, type, offset }) => {
  const whole = tinyTensor(from);
  return {
    name,
    dims: dims ?? whole.dims,
    type: type ?? whole.type,
    data: whole.data,
    ...(offset !== null && { offset }),
  };
});

const changed = fc.record({
  entries: fc.array(entry, { maxLength: 2 }),
  tensors: fc.array(tensor, { maxLength: 1 }),
  without: fc.array(fc.constantFrom(...COUNTS, "tokenizer.ggml.tokens"), { maxLength: 1 }),
}).map(({ entries, tensors, without }) => {
  const one = new Map(entries.map((e) => [e[0], e]));
  return tinyGguf({ entries: [...one.values()], tensors, without });
});

const mutated = fc.oneof(
  fc.array(byteMutation, { minLength: 1, maxLength: 3 }).map((all) => [VALID, all] as const),
  fc.tuple(changed, fc.array(byteMutation, { maxLength: 1 })),
).map(([file, mutations]) => mutations.reduce((bytes, mutate) => mutate(bytes), file));

/** Notes that nothing behind the end is asked for. */
class BoundedSource implements ByteSource {
  readonly name = "m.gguf";
  readonly size: number;
  readonly #inner: MemorySource;
  closed = false;

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#inner = new MemorySource(this.name, bytes);
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    assert.ok(offset + length <= this.size, `${length} bytes from ${offset} of ${this.size}`);
    return this.#inner.read(offset, length);
  }

  close() {
    this.closed = true;
  }
}

/**
 * Runs `use`. True when it worked, false when it was refused with a typed error that names the
 * file.
 */
function made(files: TokenizerFiles, file: string): TokenizerEngine {
  try {
    return new TokenizerEngine(files, () => {});
  } catch (error) {
    throw new CheckpointFormatError(String(error), { file });
  }
}

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
    assert.match(error.message, /m\.gguf/);
    return false;
  }
}

Deno.test(`GGUF: ${MUTATIONS} mutated files give a typed error or a model that can be read`, async () => {
  let done = 0, opened = 0, readable = 0, tokenizers = 0;
  const memory = new HeldMemory(MUTATIONS);
  await fc.assert(
    fc.asyncProperty(mutated, async (file) => {
      memory.sample();
      done += 1;
      const source = new BoundedSource(file);
      const opens = await works(async () => {
        const model = await openGgufModel(source);
        opened += 1;
        const whole = await works(async () => {
          for (const { tensor } of model.weights) {
            const { length } = await model.store.readBytes(tensor.name);
            assert.equal(length, tensor.byteLength);
            await model.store.readFloat32(tensor.name);
          }
        });
        if (whole) readable += 1;
        const tokenizer = await works(async () => {
          const files = await readTokenizerFiles(model.folder);
          // A thread for each would take a minute.
          const engine = made(files, model.folder.name);
          engine.decode(engine.encode("ab ab</s> ü", true));
        });
        if (tokenizer) tokenizers += 1;
        model[Symbol.dispose]();
      });
      assert.ok(source.closed, opens ? "closed with the model" : "closed when refused");
    }),
    { numRuns: MUTATIONS, seed: SEED, endOnFailure: true },
  );
  const { grown } = memory;
  console.log(
    `seed ${SEED}: ${opened} opened, ${readable} with finite weights, ${tokenizers} with a tokenizer, ` +
      `${done - opened} refused, ${(grown / 1e6).toFixed(0)} MB grown`,
  );
  assert.equal(done, MUTATIONS);
  // all must occur for the property to mean anything
  assert.ok(readable > 500 && tokenizers > 500 && opened > readable && done - opened > 1000);
  assert.ok(grown < ALLOWANCE_BYTES, `${grown} bytes grown over all files`);
});

for (
  const [kind, outcome] of [
    ["tensors", /^65536 tensors/],
    ["entries", /4096 entries$/],
    ["long keys", /200 entries$/],
    ["texts", /1 entries$/],
    ["promised tensors", /^CheckpointFormatError/],
    ["promised entries", /^CheckpointFormatError/],
  ] as const
) {
  Deno.test({
    name: `GGUF: a header full of ${kind} costs at most the file and 64 MiB`,
    // Only Linux says how much memory a process had at its highest.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const script = new URL("../testing/measure_gguf_header.ts", import.meta.url);
      const measured = await measuredProcess(script, kind);
      assert.match(measured.outcome, outcome);
      assertGrownWithin(measured, ALLOWANCE_BYTES);
      console.log(`${(measured.grown / 2 ** 20).toFixed(0)} MiB`);
    },
  });
}
