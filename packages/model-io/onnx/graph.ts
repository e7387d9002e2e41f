import { CheckpointFormatError, type FloatDType, UnsupportedModelError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { BYTES, type Field, FIXED32, key, MessageCursor, VARINT } from "./message_cursor.ts";

/*
 * onnx-buf, which writes our graphs, is not used to read those of others: it needs the whole file in memory, weights
 * included, and makes objects of everything in it before anyone can say that there is too much.
 */

/**
 * Nodes, their inputs, outputs and attributes, initializers and their dimensions: a node with two of them costs 600 bytes. A file
 * may have this many (Llama 405B: 90,000), and one more for every 512 of its bytes.
 */
const FREE_PARTS = 196_608;
const BYTES_PER_PART = 512;

/** Element types of weights (onnx.proto, `TensorProto.DataType`), and the float type that is none. */
export const FLOAT_DTYPES: Readonly<Record<number, FloatDType>> = {
  1: "F32",
  10: "F16",
  16: "BF16",
};
export const DOUBLE = 11;

/** Bytes of values: in the ONNX file itself (`location` null), or in one beside it. */
export interface StoredValues {
  readonly location: string | null;
  readonly offset: number;
  /** Undefined where the file does not say. */
  readonly byteLength: number | undefined;
}

export interface OnnxTensor {
  readonly name: string;
  readonly elementType: number;
  readonly shape: readonly number[];
  /** Product of the shape. */
  readonly size: number;
  /** Null where values are stored one by one as protobuf numbers. */
  readonly values: StoredValues | null;
}

export type Attribute = number | readonly number[];

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  /** "" for ONNX itself. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Numbers and lists of whole numbers; others are left out. */
  readonly attributes: ReadonlyMap<string, Attribute>;
}

export interface OnnxGraph {
  readonly file: string;
  readonly producer: string;
  readonly nodes: readonly OnnxNode[];
  /** Initializers, and the values of Constant nodes, by the name under which nodes read them. */
  readonly tensors: ReadonlyMap<string, OnnxTensor>;
}

/** Messages and fields of onnx.proto (IR version 3 to 13), the ones that are read. */
const MODEL = { producer: key(2, BYTES), graph: key(7, BYTES) };
const GRAPH = { node: key(1, BYTES), initializer: key(5, BYTES), sparse: key(15, BYTES) };
const NODE = {
  input: key(1, BYTES),
  output: key(2, BYTES),
  name: key(3, BYTES),
  op: key(4, BYTES),
  attribute: key(5, BYTES),
  domain: key(7, BYTES),
};
const ATTRIBUTE = {
  name: key(1, BYTES),
  float: key(2, FIXED32),
  int: key(3, VARINT),
  tensor: key(5, BYTES),
  ints: key(8, VARINT),
  packedInts: key(8, BYTES),
};
const TENSOR = {
  dim: key(1, VARINT),
  dims: key(1, BYTES),
  elementType: key(2, VARINT),
  segment: key(3, BYTES),
  floats: key(4, BYTES),
  name: key(8, BYTES),
  raw: key(9, BYTES),
  external: key(13, BYTES),
  location: key(14, VARINT),
};
const ENTRY = { key: key(1, BYTES), value: key(2, BYTES) };
/** `TensorProto.DataLocation` */
const EXTERNAL = 1;

/**
 * Reads the graph of an ONNX file (onnx.proto): nodes, and where the values of tensors lie. The values themselves are passed
 * over.
 * @throws {CheckpointFormatError} when the file is malformed, or has more parts than any model.
 * @throws {UnsupportedModelError} for sparse and segmented tensors.
 */
export async function readOnnxGraph(source: ByteSource): Promise<OnnxGraph> {
  return await new GraphReader(source).read();
}

const NO_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map();

class GraphReader {
  readonly #source: ByteSource;
  readonly #cursor: MessageCursor;
  readonly #nodes: OnnxNode[] = [];
  readonly #tensors = new Map<string, OnnxTensor>();
  readonly #texts = new Map<string, string>();
  #parts: number;

  constructor(source: ByteSource) {
    this.#source = source;
    this.#cursor = new MessageCursor(source);
    this.#parts = FREE_PARTS + Math.floor(source.size / BYTES_PER_PART);
  }

  async read(): Promise<OnnxGraph> {
    let producer = "", graphs = 0;
    await this.#cursor.message(
      this.#source.size,
      {
        [MODEL.producer]: async (field) => void (producer = await this.#cursor.text(field)),
        [MODEL.graph]: async ({ end }) => {
          graphs += 1;
          if (graphs > 1) this.#cursor.fail("the file holds a second graph");
          await this.#readGraph(end);
        },
      },
    );
    if (graphs === 0) {
      throw new CheckpointFormatError("there is no graph in it; an ONNX file has one", {
        file: this.#source.name,
      });
    }
    return { file: this.#source.name, producer, nodes: this.#nodes, tensors: this.#tensors };
  }

  async #readGraph(end: number) {
    await this.#cursor.message(
      end,
      {
        [GRAPH.node]: ({ end }) => this.#readNode(end),
        [GRAPH.initializer]: async ({ end }) => {
          const tensor = await this.#readTensor(end);
          this.#addTensor(tensor.name, tensor);
        },
        [GRAPH.sparse]: () => {
          throw new UnsupportedModelError(
            `${this.#source.name}: a weight is stored as a sparse tensor; Lopper reads dense ones`,
          );
        },
      },
    );
  }

  #addTensor(name: string, tensor: OnnxTensor) {
    if (this.#tensors.has(name)) {
      throw new CheckpointFormatError("the graph names it twice", {
        file: this.#source.name,
        tensor: name,
      });
    }
    this.#tensors.set(name, { ...tensor, name });
  }

  async #readNode(end: number) {
    this.#count();
    const cursor = this.#cursor;
    const node = { name: "", op: "", domain: "" };
    const inputs: string[] = [], outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    const tensors: OnnxTensor[] = [];
    const list = (names: string[]) => async (field: Field) => {
      this.#count();
      names.push(await cursor.text(field));
    };
    await cursor.message(
      end,
      {
        [NODE.input]: list(inputs),
        [NODE.output]: list(outputs),
        [NODE.name]: async (field) => void (node.name = await cursor.text(field)),
        [NODE.op]: async (field) => void (node.op = await cursor.text(field)),
        [NODE.domain]: async (field) => void (node.domain = await cursor.text(field)),
        [NODE.attribute]: async ({ end }) => {
          this.#count();
          const { name, value, tensor } = await this.#readAttribute(end);
          if (value !== undefined) attributes.set(name, value);
          if (tensor) tensors.push(tensor);
        },
      },
    );
    const domain = node.domain === "ai.onnx" ? "" : node.domain;
    if (node.op === "Constant" && domain === "" && tensors.length === 1 && outputs.length === 1) {
      this.#addTensor(outputs[0], tensors[0]);
      return;
    }
    this.#nodes.push({
      name: node.name,
      op: this.#once(node.op),
      domain: this.#once(domain),
      // Lists that grew have room to spare; their copies have none.
      inputs: inputs.slice(),
      outputs: outputs.slice(),
      attributes: attributes.size === 0 ? NO_ATTRIBUTES : attributes,
    });
  }

  async #readAttribute(
    end: number,
  ): Promise<{ name: string; value: Attribute | undefined; tensor: OnnxTensor | null }> {
    const cursor = this.#cursor;
    let name = "";
    let number: number | undefined;
    let tensor: OnnxTensor | null = null;
    const ints: number[] = [];
    await cursor.message(
      end,
      {
        [ATTRIBUTE.name]: async (field) => void (name = await cursor.text(field)),
        [ATTRIBUTE.float]: async () => void (number = await cursor.float32()),
        [ATTRIBUTE.int]: async () => void (number = await cursor.number()),
        [ATTRIBUTE.tensor]: async ({ end }) => void (tensor = await this.#readTensor(end)),
        [ATTRIBUTE.ints]: () => this.#readNumber(ints),
        [ATTRIBUTE.packedInts]: (field) => this.#readNumbers(field, ints),
      },
    );
    return { name, value: number ?? (ints.length > 0 ? ints : undefined), tensor };
  }

  /** Reads a TensorProto; its values are passed over. */
  async #readTensor(end: number): Promise<OnnxTensor> {
    this.#count();
    const cursor = this.#cursor;
    const start = cursor.position;
    const dims: number[] = [];
    const external = new Map<string, string>();
    let name = "", elementType = 0, location = 0;
    let inline: StoredValues | null = null, pieces = 0;
    const values = ({ end }: Field) => {
      inline = { location: null, offset: cursor.position, byteLength: end - cursor.position };
      pieces += 1;
      cursor.skipTo(end);
    };
    await cursor.message(
      end,
      {
        [TENSOR.dim]: () => this.#readNumber(dims),
        [TENSOR.dims]: (field) => this.#readNumbers(field, dims),
        [TENSOR.elementType]: async () => void (elementType = await cursor.number()),
        [TENSOR.segment]: () => {
          throw new UnsupportedModelError(
            `${this.#source.name}: a tensor is stored in segments; Lopper reads whole ones`,
          );
        },
        // Packed floats are the bytes of their values, as raw data is.
        [TENSOR.floats]: values,
        [TENSOR.raw]: values,
        [TENSOR.name]: async (field) => void (name = await cursor.text(field)),
        [TENSOR.external]: async ({ end }) => {
          this.#count();
          const [name, value] = await this.#readEntry(end);
          external.set(name, value);
        },
        [TENSOR.location]: async () => void (location = await cursor.number()),
      },
    );
    const refuse = (problem: string): never => {
      throw new CheckpointFormatError(problem, {
        file: this.#source.name,
        tensor: name,
        offset: start,
      });
    };
    const shape = dims.slice();
    const size = shape.reduce((product, d) => product * d, 1);
    if (shape.some((d) => d < 0) || !Number.isSafeInteger(size)) {
      refuse(`its shape is [${shape.join(", ")}], which no tensor has`);
    }
    if (location !== EXTERNAL) {
      return { name, elementType, shape, size, values: pieces === 1 ? inline : null };
    }
    const whole = (key: string): number | undefined => {
      const text = external.get(key);
      if (text === undefined) return undefined;
      const value = Number(text);
      if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
      return refuse(`the ${key} of its external data is ${JSON.stringify(text)}`);
    };
    const file = external.get("location") ?? refuse("its external data has no location");
    return {
      name,
      elementType,
      shape,
      size,
      values: { location: file, offset: whole("offset") ?? 0, byteLength: whole("length") },
    };
  }

  async #readEntry(end: number): Promise<readonly [string, string]> {
    let name = "", value = "";
    await this.#cursor.message(
      end,
      {
        [ENTRY.key]: async (field) => void (name = await this.#cursor.text(field)),
        [ENTRY.value]: async (field) => void (value = await this.#cursor.text(field)),
      },
    );
    return [name, value];
  }

  async #readNumber(list: number[]) {
    this.#count();
    list.push(await this.#cursor.number());
  }

  async #readNumbers({ end }: Field, list: number[]) {
    while (this.#cursor.position < end) await this.#readNumber(list);
  }

  /** The same text, in memory once. */
  #once(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }

  #count() {
    this.#parts -= 1;
    if (this.#parts < 0) {
      this.#cursor.fail("the graph has more nodes and names than any model; it is none");
    }
  }
}
