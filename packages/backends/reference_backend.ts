import { fromBinary } from "@bufbuild/protobuf";
import { UnsupportedOpError, VERSION } from "@lopper/core";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
} from "onnx-buf";
import type { Backend, BackendDescription, Executable, Feeds, Weights } from "./backend.ts";
import { ATTENTION } from "./reference/attention.ts";
import { ELEMENTWISE } from "./reference/elementwise.ts";
import { MATRICES } from "./reference/matrices.ts";
import { Attributes, type AttributeValue, type Operator } from "./reference/operator.ts";
import { SHAPES } from "./reference/shapes.ts";
import { elementType, fromBytes, fromHost, type Tensor, toHost } from "./reference/tensor.ts";

const NAME = "reference";

/** Every operator of the graphs that Lopper makes, by domain and name. */
const OPERATORS: Readonly<Record<string, Operator>> = {
  ...ELEMENTWISE,
  ...SHAPES,
  ...MATRICES,
  ...ATTENTION,
};

const DESCRIPTION: BackendDescription = {
  name: NAME,
  engine: `lopper ${VERSION}`,
  threads: 1,
  engines: 1,
  attentionOp: "plain",
  logSoftmax: true,
  residentWeights: false,
  memoryLimitBytes: null,
};

/**
 * Graphs in plain TypeScript, in float64 from the feeds to the fetches: slow, and as exact as
 * doubles are. It is a second opinion for tests on what an engine computes, and shares no code with
 * any.
 */
export function openReferenceBackend(): Promise<Backend> {
  return Promise.resolve({
    description: DESCRIPTION,
    compile: (onnx, weights = {}) => {
      try {
        return Promise.resolve(new ReferenceExecutable(onnx, weights));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

/** Values by name; those of a graph inside a node are looked up there first. */
type Scope = Map<string, Tensor>;

class ReferenceExecutable implements Executable {
  readonly #graph: GraphProto;
  readonly #constants: ReadonlyMap<string, Tensor>;
  #disposed = false;

  constructor(onnx: Uint8Array, weights: Weights) {
    const { graph } = fromBinary(ModelProtoSchema, onnx);
    if (!graph || graph.node.length === 0) throw new TypeError("the bytes hold no ONNX graph");
    checkOperators(graph);
    this.#graph = graph;
    this.#constants = new Map(graph.initializer.map((t) => [t.name, initial(t, weights)]));
  }

  run(feeds: Feeds) {
    try {
      if (this.#disposed) throw new TypeError("the executable was disposed");
      const scope: Scope = new Map(this.#constants);
      for (const { name } of this.#graph.input) {
        if (scope.has(name)) continue;
        if (!feeds[name]) throw new TypeError(`graph input ${name} has no feed`);
        scope.set(name, fromHost(feeds[name]));
      }
      const fetches = runGraph(this.#graph, scope);
      return Promise.resolve(
        Object.fromEntries(this.#graph.output.map(({ name }, i) => [name, toHost(fetches[i])])),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  dispose() {
    this.#disposed = true;
    return Promise.resolve();
  }
}

function runGraph(graph: GraphProto, scope: Scope): readonly Tensor[] {
  const value = (name: string) => {
    const found = scope.get(name);
    if (found) return found;
    throw new TypeError(`the graph reads ${name}, which nothing makes`);
  };
  for (const node of graph.node) {
    const made = operatorOf(node)({
      inputs: node.input.map((name) => name === "" ? undefined : value(name)),
      attributes: attributesOf(node),
      outputs: node.output.length,
      runGraph: (inner) => {
        const own: Scope = new Map(scope);
        for (const t of inner.initializer) own.set(t.name, initial(t, {}));
        return runGraph(inner, own);
      },
    });
    node.output.forEach((name, i) => scope.set(name, made[i]));
  }
  return graph.output.map(({ name }) => value(name));
}

/** @throws {UnsupportedOpError} naming the first operator that is not computed here. */
function checkOperators(graph: GraphProto) {
  for (const node of graph.node) {
    operatorOf(node);
    for (const { g } of node.attribute) if (g) checkOperators(g);
  }
}

function operatorOf({ domain, opType }: NodeProto): Operator {
  const key = domain === "" ? opType : `${domain}.${opType}`;
  if (Object.hasOwn(OPERATORS, key)) return OPERATORS[key];
  throw new UnsupportedOpError(NAME, opType);
}

function attributesOf({ attribute }: NodeProto): Attributes {
  const values = new Map<string, AttributeValue>();
  for (const { name, type, i, f, ints, g } of attribute) {
    if (type === AttributeType.INT) values.set(name, Number(i));
    else if (type === AttributeType.FLOAT) values.set(name, f);
    else if (type === AttributeType.INTS) values.set(name, ints.map(Number));
    else if (type === AttributeType.GRAPH && g) values.set(name, g);
  }
  return new Attributes(values);
}

/**
 * The value of an initializer: in the graph, or given under the name of the file that the graph
 * says.
 */
function initial(proto: TensorProto, weights: Weights): Tensor {
  const type = elementType(proto.dataType);
  const dims = proto.dims.map(Number);
  if (proto.dataLocation !== DataLocation.EXTERNAL) return fromBytes(type, dims, proto.rawData);
  const entry = (wanted: string) => proto.externalData.find(({ key }) => key === wanted)?.value;
  const location = entry("location") ?? proto.name;
  const given = weights[location];
  if (!given) throw new TypeError(`the weight ${location} was not given`);
  const { buffer, byteOffset, byteLength } = given;
  const offset = Number(entry("offset") ?? 0);
  const length = Number(entry("length") ?? byteLength - offset);
  return fromBytes(
    type,
    dims,
    new Uint8Array(buffer, byteOffset, byteLength).subarray(offset, offset + length),
  );
}
