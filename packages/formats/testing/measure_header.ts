/**
 * How much the memory of a process grows, at its highest, while it reads the header of a hostile
 * file. Run by mutation_test.ts in a process of its own, where nothing else takes memory.
 *
 * Usage: deno run --allow-all measure_header.ts KIND HEADER_BYTES FILE_BYTES
 */
import { MemorySource } from "../byte_source.ts";
import { readSafetensorsHeader } from "../safetensors/header.ts";
import { measurePeak } from "./measure_peak.ts";
import { safetensorsFile } from "./safetensors_file.ts";

/** The start of a header, what is repeated until it is full, and its end. */
const KINDS: Readonly<Record<string, [string, (i: number) => string, string]>> = {
  tensors: ["{", (i) => `"${i.toString(36)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, "}"],
  objects: ['{"a":[', () => "{}", "]}"],
  lists: ['{"a":[', () => "[]", "]}"],
  keys: ["{", (i) => `"${i.toString(36)}":0`, "}"],
  "escaped keys": ["{", (i) => `"\\n${i.toString(36)}":0`, "}"],
  "keys of objects": ["{", (i) => `"${i.toString(36)}":{}`, "}"],
  "objects of one key": ['{"a":[', (i) => `{"${i.toString(36)}":0}`, "]}"],
  metadata: ['{"__metadata__":{', (i) => `"${i.toString(36)}":""`, "}}"],
  strings: ['{"a":[', (i) => `"${i.toString(36)}"`, "]}"],
  sizes: ['{"a":{"dtype":"U8","data_offsets":[0,0],"shape":[', () => "0", "]}}"],
  doubles: ['{"a":[', (i) => i % 2 ? "1" : "1e9", "]}"],
};

function hostileHeader(kind: string, bytes: number): string {
  if (kind === "nesting") return '{"a":' + "[".repeat(bytes - 5);
  if (kind === "a long name") return `{"${"ü".repeat((bytes - 6) / 2)}":0}`;
  const [start, part, end] = KINDS[kind];
  const parts: string[] = [];
  for (let size = start.length + end.length, i = 0;; i++) {
    const next = part(i);
    size += next.length + 1;
    if (size > bytes) break;
    parts.push(next);
  }
  return start + parts.join(",") + end;
}

if (import.meta.main) {
  const [kind, headerBytes, fileBytes] = Deno.args;
  const header = hostileHeader(kind, Number(headerBytes));
  const rest = Math.max(0, Number(fileBytes) - header.length - 8);
  const file = safetensorsFile(header, new Uint8Array(rest));
  const { grown, outcome } = await measurePeak(async () => {
    const { tensors } = await readSafetensorsHeader(new MemorySource("m", file));
    return `${tensors.size} tensors`;
  });
  console.log(JSON.stringify({ grown, fileBytes: file.byteLength, outcome }));
}
