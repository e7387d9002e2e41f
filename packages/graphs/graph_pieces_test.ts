import assert from "node:assert/strict";
import { ModelProtoSchema } from "onnx-buf";
import { fromBinary } from "@bufbuild/protobuf";
import { GraphBuilder } from "./graph_builder.ts";
import { type FeedType, type GraphPiece, graphPieces } from "./graph_pieces.ts";

/** A weight `[4, 4]`, 64 bytes. */
function weight(g: GraphBuilder, index: number): string {
  return g.storedWeight({
    name: `w${index}`,
    element: "float32",
    dims: [4, 4],
    location: "data",
    offset: 64 * index,
    length: 64,
  });
}

const FEED: FeedType = { element: "float32", rank: 2 };

function graphOf(piece: GraphPiece) {
  const types = new Map(piece.inputs.map((name) => [name, FEED]));
  return fromBinary(ModelProtoSchema, piece.encode(types)).graph!;
}

/** Three residual blocks of two weights each; the first weight is read again at the end. */
function residual(): Uint8Array {
  const g = new GraphBuilder("test");
  const x = g.input("x", "float32", ["N", 4]);
  const half = g.node("Mul", [x, g.float32(0.5)]);
  let hidden = g.node("Gemm", [x, weight(g, 0)]);
  for (const block of [1, 2, 3]) {
    const up = g.node("Gemm", [hidden, weight(g, 2 * block - 1)]);
    const down = g.node("Gemm", [g.node("Mul", [up, half]), weight(g, 2 * block)]);
    hidden = g.node("Add", [hidden, down]);
    g.output(`seen.${block}`, down, "float32", ["N", 4]);
  }
  g.output("y", g.node("Gemm", [hidden, "w0"], { transB: 1 }), "float32", ["N", 4]);
  return g.encode();
}

Deno.test("graph pieces: every node once and in order, cut where one value of weights passes, within the bytes", () => {
  const onnx = residual();
  const nodes = fromBinary(ModelProtoSchema, onnx).graph!.node.map(({ name }) => name);
  const places = (bytes: number) =>
    graphPieces(onnx, bytes).map(({ weights }) => weights.map(({ name }) => name).join(" "));
  // Within a block two values are alive: its weights stay together, whatever they take.
  assert.deepEqual(places(0), ["w0", "w1 w2", "w3 w4", "w5 w6", "w0"]);
  assert.deepEqual(places(3 * 64), ["w0 w1 w2", "w3 w4", "w0 w5 w6"]);
  assert.deepEqual(places(5 * 64), ["w0 w1 w2 w3 w4", "w0 w5 w6"]);
  assert.deepEqual(places(1e9), ["w0 w1 w2 w3 w4 w5 w6"]);
  for (const bytes of [0, 192, 320, 1e9]) {
    const pieces = graphPieces(onnx, bytes);
    assert.deepEqual(pieces.flatMap((p) => graphOf(p).node.map(({ name }) => name)), nodes);
    assert.deepEqual(pieces.flatMap(({ fetches }) => fetches), [
      "seen.1",
      "seen.2",
      "seen.3",
      "y",
    ]);
  }
});

Deno.test("graph pieces: what passes a cut is declared on both sides, weights by their names", () => {
  const [first, second] = graphPieces(residual(), 0);
  assert.deepEqual(first.inputs, ["x"]);
  assert.deepEqual(first.fetches, []);
  assert.deepEqual(second.weights, [
    { name: "w1", location: "data", offset: 64, length: 64 },
    { name: "w2", location: "data", offset: 128, length: 64 },
  ]);
  const left = graphOf(first).output.map(({ name }) => name);
  assert.equal(left.length, 2);
  assert.deepEqual([...second.inputs].sort(), [...left].sort());
  const { initializer, input } = graphOf(second);
  assert.deepEqual(
    initializer.map(({ externalData }) => externalData.map(({ key, value }) => `${key}=${value}`)),
    [["location=w1"], ["location=w2"]],
  );
  assert.deepEqual(input.map(({ name }) => name), second.inputs);
  assert.throws(() => second.encode(new Map()), /the type of \w+ is not known/);
});

Deno.test("graph pieces: what only a branch reads passes a cut, too", () => {
  const g = new GraphBuilder("test");
  const x = g.input("x", "float32", ["N", 4]);
  const double = g.node("Add", [x, x]);
  const first = g.node("Gemm", [x, weight(g, 0)]);
  const second = g.node("Gemm", [first, weight(g, 1)]);
  const chosen = g.choose(
    g.input("keep", "bool", []),
    (branch) => branch.node("Mul", [double, second]),
    (branch) => branch.node("Identity", [second]),
    "float32",
    ["N", 4],
  );
  g.output("y", chosen, "float32", ["N", 4]);
  const pieces = graphPieces(g.encode(), 0);
  assert.equal(pieces.length, 2);
  assert.deepEqual(pieces[1].inputs, [first, "keep", double]);
});
