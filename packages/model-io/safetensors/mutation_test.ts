import { CheckpointFormatError, LopperError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type ByteSource, MemorySource } from "../byte_source.ts";
import { MemoryFolder } from "../model_folder.ts";
import { entry, safetensorsFile } from "../testing/safetensors_file.ts";
import { readSafetensorsHeader } from "./header.ts";
import { openTensorStore } from "./tensor_store.ts";

const MUTATIONS = 10_000;
/** What reading a hostile header may take beside the file itself. */
const ALLOWANCE_BYTES = 64 * 1024 * 1024;
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 20_260_101);

const TENSORS = {
  "model.embed_tokens.weight": entry("F32", [4, 3], 0, 48),
  "model.layers.0.mlp.up_proj.weight": entry("BF16", [5, 2], 48, 68),
  "model.norm.weight": entry("F16", [3], 68, 74),
  counter: entry("I64", [1], 74, 82),
};
const VALID = safetensorsFile(
  JSON.stringify({ __metadata__: { format: "pt" }, ...TENSORS }),
  new Uint8Array(82),
);

/** Memory of this test's isolate: other tests may run beside it in the process. */
function memoryBytes(): number {
  const { heapTotal, external } = Deno.memoryUsage();
  return heapTotal + external;
}

type Mutation = (file: Uint8Array) => Uint8Array;

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (file: Uint8Array, where: number) => Math.floor(where * file.byteLength);
const odd = fc.oneof(
  fc.constantFrom<unknown>(-1, 0, 1.5, 2 ** 31, 2 ** 53, 1e308, null, "48", [], {}, true),
  fc.maxSafeNat(),
);
const spliced = (file: Uint8Array, start: number, remove: number, insert: Uint8Array) => {
  const out = new Uint8Array(file.byteLength - remove + insert.byteLength);
  out.set(file.subarray(0, start));
  out.set(insert, start);
  out.set(file.subarray(start + remove), start + insert.byteLength);
  return out;
};

/** Changes of bytes, which mostly break the JSON or the sizes. */
const byteMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.integer({ min: 0, max: 7 })).map(([where, bit]): Mutation => (file) => {
    const out = file.slice();
    if (out.byteLength > 0) out[at(out, where)] ^= 1 << bit;
    return out;
  }),
  fc.tuple(position, fc.uint8Array({ minLength: 1, maxLength: 8 })).map(
    ([where, insert]): Mutation => (file) => spliced(file, at(file, where), 0, insert),
  ),
  fc.tuple(position, fc.nat(16)).map(([where, n]): Mutation => (file) => {
    const start = at(file, where);
    return spliced(file, start, Math.min(n, file.byteLength - start), new Uint8Array(0));
  }),
  position.map((where): Mutation => (file) => file.slice(0, at(file, where))),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((length): Mutation => (file) => {
    const out = file.slice();
    if (out.byteLength >= 8) new DataView(out.buffer).setBigUint64(0, length, true);
    return out;
  }),
);

/** Changes of the header's structure, which leave it JSON. */
const headerMutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom(...Object.keys(TENSORS)),
  fc.constantFrom("dtype", "shape", "data_offsets", "shape.0", "data_offsets.0", "data_offsets.1"),
  odd,
  fc.constantFrom("change", "delete", "duplicate", "rename", "nest"),
).map(([name, key, value, how]): Mutation => () => {
  // deno-lint-ignore no-explicit-any
  const header: any = structuredClone(TENSORS);
  const [field, index] = key.split(".");
  if (how === "delete") delete header[name][field];
  else if (how === "nest") header[name] = { [name]: header[name] };
  else if (how === "rename") {
    header[String(value)] = header[name];
    delete header[name];
  } else if (index === undefined) header[name][field] = value;
  else header[name][field][Number(index)] = value;
  let json = JSON.stringify(header);
  if (how === "duplicate") json = json.replace("{", `{${JSON.stringify(name)}:{},`);
  return safetensorsFile(json, new Uint8Array(82));
});

const mutated = fc.oneof(
  fc.array(byteMutation, { minLength: 1, maxLength: 3 }),
  fc.tuple(headerMutation, fc.array(byteMutation, { maxLength: 1 })).map(([h, b]) => [h, ...b]),
).map((mutations) => mutations.reduce((file, mutate) => mutate(file), VALID));

Deno.test(`safetensors: ${MUTATIONS} mutated files give a typed error or a checkpoint that can be read`, async () => {
  let valid = 0, refused = 0;
  const before = memoryBytes();
  await fc.assert(
    fc.asyncProperty(mutated, async (file) => {
      try {
        const store = await openTensorStore(new MemoryFolder("m", { "model.safetensors": file }));
        for (const { name, byteLength } of store.tensors.values()) {
          assert.equal((await store.readBytes(name)).byteLength, byteLength);
        }
        valid += 1;
      } catch (error) {
        if (!(error instanceof LopperError)) throw error;
        assert.match(error.message, /model\.safetensors/);
        refused += 1;
      }
    }),
    { numRuns: MUTATIONS, seed: SEED, endOnFailure: true },
  );
  const grown = memoryBytes() - before;
  console.log(
    `seed ${SEED}: ${valid} valid, ${refused} refused, ${(grown / 1e6).toFixed(0)} MB grown`,
  );
  assert.equal(valid + refused, MUTATIONS);
  // both sides must occur for the property to mean anything
  assert.ok(valid > 100 && refused > 1000);
  assert.ok(grown < ALLOWANCE_BYTES, `${grown} bytes grown over all files`);
});

/** Notes the largest read that is asked for. */
class WatchedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  largest = 0;
  readonly #inner: ByteSource;

  constructor(inner: ByteSource) {
    this.name = inner.name;
    this.size = inner.size;
    this.#inner = inner;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.largest = Math.max(this.largest, length);
    return this.#inner.read(offset, length);
  }

  close() {}
}

Deno.test("safetensors: a length field that promises more than the file is refused before anything is read", async () => {
  for (const claimed of [90_000_000n, 1n << 40n, (1n << 64n) - 1n]) {
    const file = safetensorsFile("{}", new Uint8Array(100), claimed);
    const source = new WatchedSource(new MemorySource("m", file));
    await assert.rejects(readSafetensorsHeader(source), CheckpointFormatError);
    assert.equal(source.largest, 8);
  }
});

Deno.test("safetensors: the most expensive small header stays within the file and 64 MiB", async () => {
  // As many entries as fit below the size from which headers need a large file: each is an object with two lists.
  const parts: string[] = [];
  for (let size = 0, i = 0; size < 2 * 1024 * 1024 - 64; i++) {
    const part = `"${i.toString(36)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`;
    parts.push(part);
    size += part.length + 1;
  }
  const file = safetensorsFile(`{${parts.join(",")}}`);
  parts.length = 0;
  const before = memoryBytes();
  const { tensors } = await readSafetensorsHeader(new MemorySource("m", file));
  const grown = memoryBytes() - before;
  console.log(
    `${tensors.size} tensors of a ${file.byteLength} byte header: ${
      (grown / 1e6).toFixed(0)
    } MB grown`,
  );
  assert.ok(tensors.size > 30_000);
  assert.ok(grown < file.byteLength + ALLOWANCE_BYTES, `${grown} bytes grown`);
});

Deno.test("safetensors: a larger header needs a file that is large, too", async () => {
  const file = safetensorsFile(`{${" ".repeat(3 * 1024 * 1024)}}`);
  await assert.rejects(
    readSafetensorsHeader(new MemorySource("m", file)),
    (error) =>
      error instanceof CheckpointFormatError && /that is no checkpoint/.test(error.message),
  );
});
