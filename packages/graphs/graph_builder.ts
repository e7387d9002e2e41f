import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import { create, toBinary } from "@bufbuild/protobuf";
import { independenceEntries } from "./independence.ts";

/** A dimension is a number, or the name of a symbolic size that each run fixes anew. */
export type Dimension = number | string;
export type ElementType = "bool" | "float16" | "float32" | "int32" | "int64" | "uint8";
type Attribute =
  | number
  | readonly number[]
  | { readonly float: number }
  | { readonly graph: object };

/** ONNX's numbers for them. */
export const ELEMENT: Record<ElementType, DataType> = {
  bool: DataType.BOOL,
  float16: DataType.FLOAT16,
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
  uint8: DataType.UINT8,
};

/** A weight in a file beside the graph's, as the graph refers to it. */
export interface StoredWeight {
  readonly name: string;
  readonly element: ElementType;
  readonly dims: readonly number[];
  /** Path from the graph's file. */
  readonly location: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
  readonly length: number;
}

/** Domain of onnxruntime's contributed operators, GroupQueryAttention among them. */
export const MICROSOFT = "com.microsoft";

/**
 * Builds one ONNX graph in topological order. Node outputs get generated names; graph inputs and
 * outputs keep theirs, which are the names of the feeds and fetches. The opset is the version of
 * ONNX's operators that the graph uses.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #opset: number;
  readonly #nodes: object[] = [];
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  readonly #initializers: object[] = [];
  readonly #stored = new Set<string>();
  #independent: readonly string[] = [];
  /** Shared with branches: names are unique in the whole model. */
  #counter = { next: 0 };

  constructor(name: string, opset = 23) {
    this.#name = name;
    this.#opset = opset;
  }

  /**
   * Says that rows along these symbolic axes, which stand side by side in every feed that has them,
   * know nothing of one another, and that each fetch has its rows in their order along its first
   * axis: whoever runs the graph may run it on some rows at a time.
   */
  independent(...axes: readonly string[]) {
    this.#independent = axes;
  }

  /** Declares a graph input and returns its name. */
  input(name: string, element: ElementType, dims: readonly Dimension[]): string {
    this.#inputs.push(valueInfo(name, element, dims));
    return name;
  }

  /**
   * Declares a float32 weight that belongs to the compiled graph, and returns its name. Weights are
   * never stored in a graph: whoever compiles it gives the values under this name.
   */
  weight(name: string, dims: readonly number[]): string {
    this.#initializers.push({
      name,
      dataType: DataType.FLOAT,
      dims: dims.map(BigInt),
      dataLocation: DataLocation.EXTERNAL,
      externalData: [{ key: "location", value: name }],
    });
    return name;
  }

  /**
   * Declares a weight whose bytes lie in a file beside the graph's, and returns its name; once
   * where several blocks read it.
   */
  storedWeight({ name, element, dims, location, offset, length }: StoredWeight): string {
    if (this.#stored.has(name)) return name;
    this.#stored.add(name);
    this.#initializers.push({
      name,
      dataType: ELEMENT[element],
      dims: dims.map(BigInt),
      dataLocation: DataLocation.EXTERNAL,
      externalData: Object.entries({ location, offset, length }).map(([key, value]) => ({
        key,
        value: String(value),
      })),
    });
    return name;
  }

  /** A small int64 constant, e.g. a shape. */
  int64(values: readonly number[]): string {
    return this.#constant(DataType.INT64, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** One float32 number, without dimensions. */
  float32(value: number): string {
    return this.float32s(Float32Array.of(value), []);
  }

  /** A few float32 numbers, e.g. rotary frequencies. */
  float32s(values: Float32Array, dims: readonly number[]): string {
    return this.#constant(DataType.FLOAT, dims, values);
  }

  /** A uint8 constant, e.g. a zero point. */
  uint8(value: number): string {
    return this.#constant(DataType.UINT8, [], Uint8Array.of(value));
  }

  /** A value in another element type. */
  cast(value: string, element: ElementType): string {
    return this.node("Cast", [value], { to: ELEMENT[element] });
  }

  #constant(
    dataType: DataType,
    dims: readonly number[],
    data: BigInt64Array | Float32Array | Uint8Array,
  ) {
    const name = `const_${this.#counter.next++}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    this.#initializers.push({ name, dataType, dims: dims.map(BigInt), rawData });
    return name;
  }

  /**
   * Adds a node with one output and returns that output's name. An empty input name stands for an
   * absent input.
   */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
    domain = "",
  ): string {
    return this.nodes(op, inputs, 1, attributes, domain)[0];
  }

  /** Adds a node with several outputs. */
  nodes(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, Attribute> = {},
    domain = "",
  ): string[] {
    const names = Array.from({ length: outputs }, () => `${op}_${this.#counter.next++}`);
    this.#nodes.push({
      name: names[0],
      opType: op,
      domain,
      input: [...inputs],
      output: names,
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    return names;
  }

  /**
   * The value of one of two branches, of which only that one runs; `condition` is a bool without
   * dimensions. A branch adds nodes to the builder that it is given, may read every value of this
   * graph, and returns the name of its result.
   */
  choose(
    condition: string,
    then: (branch: GraphBuilder) => string,
    otherwise: (branch: GraphBuilder) => string,
    element: ElementType,
    dims: readonly Dimension[],
  ): string {
    const graph = (build: (branch: GraphBuilder) => string) => {
      const name = `branch_${this.#counter.next++}`;
      const branch = new GraphBuilder(name, this.#opset);
      branch.#counter = this.#counter;
      branch.output(`${name}_result`, build(branch), element, dims);
      return { graph: branch.#graph() };
    };
    return this.node("If", [condition], {
      then_branch: graph(then),
      else_branch: graph(otherwise),
    });
  }

  /** Declares `value` as the graph output `name`. */
  output(name: string, value: string, element: ElementType, dims: readonly Dimension[]) {
    this.#nodes.push({ name, opType: "Identity", input: [value], output: [name] });
    this.#outputs.push(valueInfo(name, element, dims));
  }

  /** The encoded ONNX model (IR version 10). */
  encode(): Uint8Array {
    // The init shapes above are plain objects; protobuf-es fills in the message types.
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: "lopper",
      opsetImport: [{ domain: "", version: BigInt(this.#opset) }, {
        domain: MICROSOFT,
        version: 1n,
      }],
      graph: this.#graph(),
      metadataProps: independenceEntries(this.#independent),
      // deno-lint-ignore no-explicit-any
    } as any);
    return toBinary(ModelProtoSchema, model);
  }

  #graph() {
    return {
      name: this.#name,
      node: this.#nodes,
      input: this.#inputs,
      output: this.#outputs,
      initializer: this.#initializers,
    };
  }
}

function attribute(name: string, value: Attribute) {
  if (typeof value === "number") return { name, type: AttributeType.INT, i: BigInt(value) };
  if ("float" in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ("graph" in value) return { name, type: AttributeType.GRAPH, g: value.graph };
  return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
}

function valueInfo(name: string, element: ElementType, dims: readonly Dimension[]) {
  const dim = dims.map((d) => ({
    value: typeof d === "number"
      ? { case: "dimValue" as const, value: BigInt(d) }
      : { case: "dimParam" as const, value: d },
  }));
  const tensorType = { elemType: ELEMENT[element], shape: { dim } };
  return { name, type: { value: { case: "tensorType" as const, value: tensorType } } };
}
