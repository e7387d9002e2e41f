import assert from "node:assert/strict";
import { ModelProtoSchema } from "onnx-buf";
import { fromBinary } from "@bufbuild/protobuf";
import { GraphBuilder, MICROSOFT } from "./graph_builder.ts";
import { nodeModels } from "./node_models.ts";

/** Operator, feeds and constants of every model of a single node. */
function kinds(g: GraphBuilder) {
  return nodeModels(g.encode()).map(({ op, onnx }) => {
    const { graph } = fromBinary(ModelProtoSchema, onnx);
    // a builder's own outputs are identities
    assert.deepEqual(
      graph!.node.map(({ opType }) => opType),
      op === "If" ? [op, "Identity"] : [op],
    );
    return [op, graph!.input.length, graph!.initializer.length];
  });
}

Deno.test("node models: every kind of node with float32 values once, and no arithmetic of shapes", () => {
  const g = new GraphBuilder("test");
  const x = g.input("x", "float32", ["N", 4]);
  const shape = g.node("Concat", [g.node("Shape", [x]), g.int64([1])], { axis: 0 });
  const labels = g.node("Unsqueeze", [g.input("labels", "int64", ["N"]), g.int64([1])]);
  const cube = g.node("Reshape", [x, shape]);
  const same = g.node("Reshape", [cube, g.node("Shape", [x])]);
  const picked = g.node("GatherElements", [same, labels], { axis: 1 });
  const sums = [0, 1, 0].map((axis) => g.node("Concat", [picked, picked], { axis }));
  const gelu = g.node("Gelu", [sums[0]], {}, MICROSOFT);
  g.output("y", g.node("Gelu", [gelu]), "float32", ["N", 1]);
  assert.deepEqual(kinds(g), [
    ["Reshape", 2, 0],
    ["GatherElements", 2, 0],
    ["Concat", 1, 0],
    ["Concat", 1, 0],
    ["Gelu", 1, 0],
    ["Gelu", 1, 0],
    ["Identity", 1, 0],
  ]);
});

Deno.test("node models: weights become feeds, constants stay, and branches are looked into", () => {
  const g = new GraphBuilder("test");
  const x = g.input("x", "float32", ["N", 4]);
  const rows = g.input("rows", "int64", [1]);
  const weight = g.weight("w", [3, 4]);
  const cut = (branch: GraphBuilder) =>
    branch.node("Slice", [weight, branch.int64([0]), rows, g.int64([0])]);
  const project = (branch: GraphBuilder) => branch.node("Gemm", [x, cut(branch)], { transB: 1 });
  const skip = (branch: GraphBuilder) => branch.node("Identity", [x]);
  const chosen = g.choose(g.input("keep", "bool", []), project, skip, "float32", ["N", "M"]);
  g.output("y", chosen, "float32", ["N", "M"]);
  assert.deepEqual(kinds(g), [
    ["Slice", 2, 2],
    ["Gemm", 2, 0],
    ["Identity", 1, 0],
    ["If", 2, 0],
  ]);
});
