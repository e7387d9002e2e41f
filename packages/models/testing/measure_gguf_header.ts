/**
 * How much the memory of a process grows, at its highest, while it reads the header of a hostile
 * GGUF file. Run by gguf/mutation_test.ts in a process of its own, where nothing else takes memory.
 *
 * Usage: deno run --allow-all measure_gguf_header.ts KIND
 */
import { MemorySource, readGgufHeader } from "@lopper/formats";
import { type Entry, ggufFile, measurePeak } from "@lopper/formats/testing";

const numbered = <T>(n: number, make: (name: string, i: number) => T) =>
  Array.from({ length: n }, (_, i) => make(i.toString(36), i));
const value = new Uint8Array(4);

/**
 * Just below each limit of header.ts, where reading costs most; and what promises far more than it
 * has.
 */
const KINDS: Readonly<Record<string, () => Uint8Array>> = {
  tensors: () =>
    ggufFile({
      tensors: numbered(65_536, (name) => ({
        name: name.padStart(64, "_"),
        dims: [1, 1, 1, 1],
        type: 0,
        data: value,
      })),
    }),
  entries: () =>
    ggufFile({ entries: numbered(4096, (name): Entry => [name, "uint64", 2n ** 60n]) }),
  "long keys": () =>
    ggufFile({ entries: numbered(200, (name): Entry => ["ü".repeat(32_000) + name, "uint8", 0]) }),
  texts: () => ggufFile({ entries: [["a", "array", "string", numbered(500_000, () => "")]] }),
  "promised tensors": () => ggufFile({ tensorCount: 65_536n }),
  "promised entries": () => ggufFile({ entryCount: 4096n }),
};

if (import.meta.main) {
  const file = KINDS[Deno.args[0]]();
  const { grown, outcome } = await measurePeak(async () => {
    const { tensors, metadata } = await readGgufHeader(new MemorySource("m", file));
    return `${tensors.size} tensors, ${metadata.keys().length} entries`;
  });
  console.log(JSON.stringify({ grown, fileBytes: file.byteLength, outcome }));
}
