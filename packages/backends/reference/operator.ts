import type { GraphProto } from "onnx-buf";
import type { Tensor } from "./tensor.ts";

export type AttributeValue = number | readonly number[] | GraphProto;

/** Attributes of a node by name. */
export class Attributes {
  readonly #values: ReadonlyMap<string, AttributeValue>;

  constructor(values: ReadonlyMap<string, AttributeValue>) {
    this.#values = values;
  }

  number(name: string, fallback: number): number {
    const value = this.#values.get(name);
    return typeof value === "number" ? value : fallback;
  }

  numbers(name: string): readonly number[] | undefined {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value : undefined;
  }

  /** @throws {TypeError} when there is none. */
  graph(name: string): GraphProto {
    const value = this.#values.get(name);
    if (typeof value === "object" && "node" in value) return value;
    throw new TypeError(`attribute ${name} is no graph`);
  }
}

/** What a node reads; inputs that it leaves out are undefined. */
export interface NodeInputs {
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: Attributes;
  /** Outputs that the node names. */
  readonly outputs: number;
  /** Runs a graph inside the node, which reads the values of the one around it. */
  readonly runGraph: (graph: GraphProto) => readonly Tensor[];
}

/**
 * Arithmetic of one operator, as the ONNX specification or onnxruntime's ContribOperators.md
 * defines it.
 */
export type Operator = (node: NodeInputs) => readonly Tensor[];

/** @throws {TypeError} when the node leaves out the input. */
export function input({ inputs }: NodeInputs, index: number): Tensor {
  const found = inputs[index];
  if (found) return found;
  throw new TypeError(`input ${index} is missing`);
}

/** The whole numbers of an input, or undefined where it is left out. */
export function numbersOf({ inputs }: NodeInputs, index: number): readonly number[] | undefined {
  const found = inputs[index];
  return found && Array.from(found.data);
}
