/**
 * How much the memory of a process grows, at its highest, while it reads a hostile ONNX graph. Run
 * by onnx/mutation_test.ts in a process of its own, where nothing else takes memory.
 *
 * Usage: deno run --allow-all measure_onnx_graph.ts KIND
 */
import { MemorySource, readOnnxGraph, ValueFlow } from "@lopper/formats";
import { llama } from "../families/llama.ts";
import { findWeights } from "../onnx/weight_uses.ts";
import { measurePeak } from "@lopper/formats/testing";

const encoder = new TextEncoder();

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value;; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push(left % 128 + 128);
  }
}

/** A field of bytes: a text, or a message of such fields. */
function field(number: number, ...parts: (string | Uint8Array)[]): Uint8Array {
  return fieldOf(number, parts);
}

function fieldOf(number: number, parts: readonly (string | Uint8Array)[]): Uint8Array {
  const all = parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
  const length = all.reduce((sum, { length }) => sum + length, 0);
  const head = [...varint(number * 8 + 2), ...varint(length)];
  const out = new Uint8Array(head.length + length);
  out.set(head);
  let at = head.length;
  for (const part of all) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** An ONNX file whose graph has `count` such fields. */
const graph = (count: number, make: (i: number) => Uint8Array) => fieldOf(7, repeated(count, make));
const repeated = (count: number, make: (i: number) => Uint8Array) =>
  Array.from({ length: count }, (_, i) => make(i));
const name = (i: number) => i.toString(36);

/** Just below the limit of graph.ts, where reading costs most, and beyond it. */
const KINDS: Readonly<Record<string, () => Uint8Array>> = {
  nodes: () => graph(196_000, () => field(1)),
  "nodes of one input and output": () =>
    graph(65_000, (i) => field(1, field(1, name(i)), field(2, name(i + 1)), field(4, "Add"))),
  inputs: () => graph(1, () => fieldOf(1, repeated(196_000, (i) => field(1, name(i))))),
  attributes: () =>
    graph(
      1,
      () =>
        fieldOf(1, repeated(196_000, (i) => field(5, field(1, name(i)), Uint8Array.of(3 * 8, 1)))),
    ),
  initializers: () => graph(196_000, (i) => field(5, field(8, name(i)))),
  dimensions: () => graph(1, () => field(5, field(8, "a"), field(1, new Uint8Array(196_000)))),
  "external data": () =>
    graph(1, () =>
      fieldOf(5, [
        field(8, "a"),
        ...repeated(190_000, (i) => field(13, field(1, name(i)), field(2, "b"))),
      ])),
  "long names": () => graph(1000, (i) => field(1, field(3, "ü".repeat(8000) + name(i)))),
  chains: () =>
    graph(65_000, (i) => field(1, field(1, name(i)), field(2, name(i + 1)), field(4, "Identity"))),
  "too many nodes": () => graph(400_000, () => field(1)),
  "too many dimensions": () =>
    graph(1, () => field(5, field(8, "a"), field(1, new Uint8Array(4_000_000)))),
};

if (import.meta.main) {
  const file = KINDS[Deno.args[0]]();
  const { grown, outcome } = await measurePeak(async () => {
    const graph = await readOnnxGraph(new MemorySource("m", file));
    const flow = new ValueFlow(graph);
    return `${graph.nodes.length} nodes, ${graph.tensors.size} tensors, ${
      findWeights(flow, llama).length
    } weights`;
  });
  console.log(JSON.stringify({ grown, fileBytes: file.byteLength, outcome }));
}
