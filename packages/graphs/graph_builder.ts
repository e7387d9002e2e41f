import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from "onnx-buf";
import { create, toBinary } from "@bufbuild/protobuf";

/** A dimension is a number, or the name of a symbolic size that each run fixes anew. */
export type Dimension = number | string;
export type ElementType = "float32" | "int32" | "int64";
type Attribute = number | readonly number[] | { readonly float: number };

const ELEMENT: Record<ElementType, DataType> = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
};

/** Domain of onnxruntime's contributed operators, GroupQueryAttention among them. */
export const MICROSOFT = "com.microsoft";

/**
 * Builds one ONNX graph in topological order. Node outputs get generated names; graph inputs and outputs keep theirs,
 * which are the names of the feeds and fetches.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #nodes: object[] = [];
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  readonly #initializers: object[] = [];
  #next = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Declares a graph input and returns its name. */
  input(name: string, element: ElementType, dims: readonly Dimension[]): string {
    this.#inputs.push(valueInfo(name, element, dims));
    return name;
  }

  /** A small int64 constant, e.g. a shape. Weights are never stored in a graph. */
  int64(values: readonly number[]): string {
    const name = `const_${this.#next++}`;
    const data = new BigInt64Array(values.map(BigInt));
    this.#initializers.push({
      name,
      dataType: DataType.INT64,
      dims: [BigInt(values.length)],
      rawData: new Uint8Array(data.buffer),
    });
    return name;
  }

  /** Adds a node with one output and returns that output's name. An empty input name stands for an absent input. */
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
    const names = Array.from({ length: outputs }, () => `${op}_${this.#next++}`);
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

  /** Declares `value` as the graph output `name`. */
  output(name: string, value: string, element: ElementType, dims: readonly Dimension[]) {
    this.#nodes.push({ name, opType: "Identity", input: [value], output: [name] });
    this.#outputs.push(valueInfo(name, element, dims));
  }

  /** The encoded ONNX model (opset 23, IR version 10). */
  encode(): Uint8Array {
    // The init shapes above are plain objects; protobuf-es fills in the message types.
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: "lopper",
      opsetImport: [{ domain: "", version: 23n }, { domain: MICROSOFT, version: 1n }],
      graph: {
        name: this.#name,
        node: this.#nodes,
        input: this.#inputs,
        output: this.#outputs,
        initializer: this.#initializers,
      },
      // deno-lint-ignore no-explicit-any
    } as any);
    return toBinary(ModelProtoSchema, model);
  }
}

function attribute(name: string, value: Attribute) {
  if (typeof value === "number") return { name, type: AttributeType.INT, i: BigInt(value) };
  if ("float" in value) return { name, type: AttributeType.FLOAT, f: value.float };
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
