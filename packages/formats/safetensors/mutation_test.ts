import { CheckpointFormatError, LopperError, UnsupportedModelError } from "@lopper/core";
import { type ByteSource, MemorySource } from "../byte_source.ts";
import { MemoryFolder } from "../listed_folder.ts";
import { entry, safetensorsFile } from "../testing/safetensors_file.ts";
import { readSafetensorsHeader } from "./header.ts";
import { openTensorStore } from "./tensor_store.ts";
import { HeldMemory } from "../testing/mutations.ts";
import { assertGrownWithin, measuredProcess } from "../testing/measured_process.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

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

/**
 * Headers of unusual size or text: long names, many tensors, deep nesting, numbers past all bounds.
 */
const extremeMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.integer({ min: 1, max: 2000 }).map((n) =>
    `{"${"ü".repeat(n)}":${JSON.stringify(entry("U8", [82], 0, 82))}}`
  ),
  fc.tuple(fc.integer({ min: 1, max: 164 }), fc.constantFrom(0, 1)).map(([n, size]) => {
    const part = (i: number) => entry("U8", [size], Math.min(i * size, 82), (i + 1) * size);
    const names = Array.from({ length: n }, (_, i) => [`t${i}`, part(i)]);
    return JSON.stringify(
      Object.fromEntries([...names, ["rest", entry("U8", [82 - n * size], n * size, 82)]]),
    );
  }),
  fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.boolean()).map(([n, closed]) =>
    `{"a":${"[".repeat(n)}${closed ? "]".repeat(n) + "}" : ""}`
  ),
  fc.tuple(
    fc.constantFrom(
      "1e999",
      "-1e999",
      "9".repeat(400),
      "18446744073709551616",
      "1e-999",
      "-0",
      "1.0",
      "8.2e1",
    ),
    fc.constantFrom("N,82],[0,82", "82],[N,82", "82],[0,N"),
  ).map(([number, places]) => {
    const [shape, offsets] = places.replace("N", number).split("],[");
    return `{"a":{"dtype":"U8","shape":[${shape}],"data_offsets":[${offsets}]}}`;
  }),
  fc.constantFrom("\\u0061", "a", "\\u0041").map((name) =>
    `{"a":${JSON.stringify(entry("U8", [82], 0, 82))},"${name}":${
      JSON.stringify(entry("U8", [0], 0, 0))
    }}`
  ),
).map((json): Mutation => () => safetensorsFile(json, new Uint8Array(82)));

const mutated = fc.oneof(
  fc.array(byteMutation, { minLength: 1, maxLength: 3 }),
  fc.tuple(
    fc.oneof({ arbitrary: headerMutation, weight: 4 }, { arbitrary: extremeMutation, weight: 1 }),
    fc.array(byteMutation, { maxLength: 1 }),
  ).map(([h, b]) => [h, ...b]),
).map((mutations) => mutations.reduce((file, mutate) => mutate(file), VALID));

Deno.test(`safetensors: ${MUTATIONS} mutated files give a typed error or a checkpoint that can be read`, async () => {
  let valid = 0, refused = 0;
  const memory = new HeldMemory(MUTATIONS);
  await fc.assert(
    fc.asyncProperty(mutated, async (file) => {
      memory.sample();
      try {
        const folder = new MemoryFolder("m", { "model.safetensors": file });
        const source = new WatchedSource(await folder.open("model.safetensors"));
        folder.open = () => Promise.resolve(source);
        const store = await openTensorStore(folder);
        for (const { name, byteLength } of store.tensors.values()) {
          assert.equal((await store.readBytes(name)).byteLength, byteLength);
        }
        store.close();
        valid += 1;
      } catch (error) {
        if (!(error instanceof LopperError)) throw error;
        assert.ok(
          error instanceof CheckpointFormatError || error instanceof UnsupportedModelError,
          String(error),
        );
        assert.match(error.message, /model\.safetensors/);
        refused += 1;
      }
    }),
    { numRuns: MUTATIONS, seed: SEED, endOnFailure: true },
  );
  const { grown } = memory;
  console.log(
    `seed ${SEED}: ${valid} valid, ${refused} refused, ${(grown / 1e6).toFixed(0)} MB grown`,
  );
  assert.equal(valid + refused, MUTATIONS);
  // both sides must occur for the property to mean anything
  assert.ok(valid > 100 && refused > 1000);
  assert.ok(grown < ALLOWANCE_BYTES, `${grown} bytes grown over all files`);
});

/**
 * Notes the largest read that is asked for; asking for more than the file has fails the test, not
 * the read.
 */
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
    assert.ok(offset + length <= this.size, `${length} bytes from ${offset} of ${this.size}`);
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

const MIB = 1024 * 1024;
/**
 * What is repeated, the header's size, and the file's: just below each limit of header.ts, where
 * parsing costs most.
 */
const HOSTILE: readonly [kind: string, headerBytes: number, fileBytes: number][] = [
  ["tensors", 1_000_000, 1_000_000],
  ["objects", 390_000, 390_000],
  ["keys", 1_100_000, 1_100_000],
  ["escaped keys", 1_300_000, 1_300_000],
  ["metadata", 1_200_000, 1_200_000],
  ["objects of one key", 650_000, 650_000],
  ["nesting", 130_000, 130_000],
  ["strings", 2 * MIB, 2 * MIB],
  ["sizes", 2 * MIB, 2 * MIB],
  ["a long name", 2 * MIB, 2 * MIB],
  // the limits grow with the file
  ["objects", 1_100_000, 128 * MIB],
  ["keys", 3_400_000, 128 * MIB],
  ["sizes", 8 * MIB - 8, 128 * MIB],
];

for (const [kind, headerBytes, fileBytes] of HOSTILE) {
  Deno.test({
    name:
      `safetensors: ${headerBytes} bytes of ${kind} in a header cost at most the file and 64 MiB`,
    // Only Linux says how much memory a process had at its highest.
    ignore: Deno.build.os !== "linux",
    async fn() {
      const script = new URL("../testing/measure_header.ts", import.meta.url);
      const measured = await measuredProcess(
        script,
        kind,
        String(headerBytes),
        String(fileBytes),
      );
      assert.doesNotMatch(
        measured.outcome,
        /that is no checkpoint/,
        "refused before it was parsed",
      );
      assertGrownWithin(measured, ALLOWANCE_BYTES);
    },
  });
}

Deno.test("safetensors: a header of more objects, lists and keys than any checkpoint is not parsed", async () => {
  const repeated = (part: string, n: number) => Array.from({ length: n }, () => part).join(",");
  const headers = [
    `{"a":[${repeated("{}", 140_000)}]}`,
    `{"a":[${repeated("[]", 140_000)}]}`,
    `{"a":${"[".repeat(140_000)}`,
    `{"a":${'{"":'.repeat(70_000)}`,
    `{"__metadata__":{${repeated('"":""', 140_000)}}}`,
  ];
  for (const header of headers) {
    const file = safetensorsFile(header);
    await assert.rejects(readSafetensorsHeader(new MemorySource("m", file)), (error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.match(error.message, /more than \d+ objects, lists and keys; that is no checkpoint/);
      return true;
    });
  }
  // Names are text: what looks like structure in them does not count.
  const text = `{"__metadata__":{"a":"${"{[:".repeat(100_000)}"}}`;
  assert.equal(
    (await readSafetensorsHeader(new MemorySource("m", safetensorsFile(text)))).tensors.size,
    0,
  );
});

Deno.test("safetensors: a larger header needs a file that is large, too", async () => {
  const file = safetensorsFile(`{${" ".repeat(3 * 1024 * 1024)}}`);
  await assert.rejects(
    readSafetensorsHeader(new MemorySource("m", file)),
    (error) =>
      error instanceof CheckpointFormatError && /that is no checkpoint/.test(error.message),
  );
});
