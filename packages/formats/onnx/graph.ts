import type { FloatDType } from "@lopper/core";

/**
 * Element types of weights (onnx.proto, `TensorProto.DataType`), and the float type that is none.
 */
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
