import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GraphBuilder } from "./graph_builder.ts";

/** A model of a single node. */
export interface NodeModel {
  readonly op: string;
  /** Tells kinds of node apart: operator, attributes and element types. */
  readonly key: string;
  readonly onnx: Uint8Array;
}

/**
 * Every kind of node in a graph that computes with float32 values, each as a model of its own: an
 * engine that places these on a device places the graph's nodes there. What only computes shapes
 * and indices is left out, since that is a few numbers, which engines rightly keep on the host.
 */
export function nodeModels(onnx: Uint8Array): readonly NodeModel[] {
  const model = fromBinary(ModelProtoSchema, onnx);
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "")?.version);
  const kinds = new Map<string, NodeModel>();
  const types = new Map<string, DataType>();
  const constants = new Map<string, TensorProto>();

  const visit = (graph: GraphProto) => {
    for (const { name, type } of graph.input) {
      if (type?.value.case === "tensorType") types.set(name, type.value.value.elemType);
    }
    for (const tensor of graph.initializer) {
      types.set(tensor.name, tensor.dataType);
      if (tensor.dataLocation !== DataLocation.EXTERNAL) constants.set(tensor.name, tensor);
    }
    for (const node of graph.node) {
      const branches = node.attribute.flatMap(({ type, g }) =>
        type === AttributeType.GRAPH && g ? [g] : []
      );
      branches.forEach(visit);
      // What the branches compute is looked at by itself, and their type is that of their results.
      const inputs = branches.length > 0
        ? branches[0].output.map(({ name }) => name)
        : node.input.filter((name) => name !== "");
      const float = node.opType !== "Shape" &&
        inputs.some((name) => types.get(name) === DataType.FLOAT);
      const result = node.opType === "Shape" ? DataType.INT64 : types.get(inputs[0]);
      for (const name of node.output) types.set(name, float ? DataType.FLOAT : result!);
      if (!float) continue;
      const key = branches.length > 0 ? node.opType : kindOf(node, inputs.map((i) => types.get(i)));
      if (kinds.has(key)) continue;
      const alone = branches.length > 0 ? choice(opset) : single(node, model, { types, constants });
      kinds.set(key, { op: node.opType, key, onnx: alone });
    }
  };

  if (model.graph) visit(model.graph);
  return [...kinds.values()];
}

/** What is known of the values of a graph, by their names. */
interface Values {
  readonly types: ReadonlyMap<string, DataType>;
  readonly constants: ReadonlyMap<string, TensorProto>;
}

/** A model of a node by itself, for the operators of another. */
function single(
  node: NodeProto,
  { irVersion, opsetImport }: ModelProto,
  { types, constants }: Values,
): Uint8Array {
  const value = (name: string) => ({
    name,
    type: { value: { case: "tensorType" as const, value: { elemType: types.get(name)! } } },
  });
  const inputs = [...new Set(node.input)].filter((name) => name !== "");
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion,
      opsetImport,
      graph: {
        name: node.opType,
        node: [node],
        input: inputs.filter((name) => !constants.has(name)).map(value),
        initializer: inputs.flatMap((name) => constants.get(name) ?? []),
        output: node.output.map(value),
      },
    }),
  );
}

function kindOf(node: NodeProto, inputs: readonly (DataType | undefined)[]): string {
  const attributes = node.attribute.map((a) => toBinary(AttributeProtoSchema, a).join());
  return [node.domain, node.opType, inputs.join(), ...attributes].join(";");
}

/** An `If` by itself: which kernel runs it does not depend on its branches. */
function choice(opset: number): Uint8Array {
  const g = new GraphBuilder("choice", opset);
  const x = g.input("x", "float32", ["N"]);
  const half = (branch: GraphBuilder) => branch.node("Mul", [x, branch.float32(0.5)]);
  const chosen = g.choose(g.input("keep", "bool", []), half, half, "float32", ["N"]);
  g.output("y", chosen, "float32", ["N"]);
  return g.encode();
}
