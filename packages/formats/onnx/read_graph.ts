import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import type { Attribute, OnnxGraph, OnnxNode, OnnxTensor } from "./graph.ts";
import { GraphParts } from "./graph_parts.ts";
import { BYTES, type Field, FIXED32, key, MessageCursor, VARINT } from "./message_cursor.ts";
import { readTensor } from "./read_tensor.ts";

/*
 * onnx-buf, which writes our graphs, is not used to read those of others: it needs the whole file
 * in memory, weights included, and makes objects of everything in it before anyone can say that
 * there is too much.
 */

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

/**
 * Reads the graph of an ONNX file (onnx.proto): nodes, and where the values of tensors lie. The
 * values themselves are passed over.
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
  readonly #parts: GraphParts;
  readonly #nodes: OnnxNode[] = [];
  readonly #tensors = new Map<string, OnnxTensor>();
  readonly #texts = new Map<string, string>();

  constructor(source: ByteSource) {
    this.#source = source;
    this.#cursor = new MessageCursor(source);
    this.#parts = new GraphParts(this.#cursor, source.size);
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
          const tensor = await readTensor(this.#cursor, this.#parts, end);
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
    this.#parts.count();
    const cursor = this.#cursor;
    const node = { name: "", op: "", domain: "" };
    const inputs: string[] = [], outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    const tensors: OnnxTensor[] = [];
    const list = (names: string[]) => async (field: Field) => {
      this.#parts.count();
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
          this.#parts.count();
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
        [ATTRIBUTE.tensor]: async ({ end }) =>
          void (tensor = await readTensor(this.#cursor, this.#parts, end)),
        [ATTRIBUTE.ints]: () => this.#parts.number(ints),
        [ATTRIBUTE.packedInts]: (field) => this.#parts.numbers(field, ints),
      },
    );
    return { name, value: number ?? (ints.length > 0 ? ints : undefined), tensor };
  }

  /** The same text, in memory once. */
  #once(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }
}
