import type { FloatDType } from "@lopper/core";
import {
  type ElementType,
  INT4_BLOCK,
  type MatrixForm,
  type MatrixPart,
  type StoredWeight,
} from "@lopper/graphs";
import type { TensorInfo, TensorStore } from "@lopper/model-io";
import { convertedTensor } from "./convert.ts";
import { type Quantized, quantizeInt4, quantizeInt8 } from "./quantize.ts";

/** A tensor of an ONNX file: how it is declared, and its bytes when their turn comes. */
export interface OnnxTensor extends Pick<StoredWeight, "name" | "element" | "dims" | "length"> {
  readonly data: () => Promise<Uint8Array>;
}

const DTYPE: Readonly<Record<"float32" | "float16", FloatDType>> = {
  float32: "F32",
  float16: "F16",
};

/**
 * The tensors in which a weight of a checkpoint lies in an ONNX file. The parts of a quantised matrix come from one pass over
 * it when they are asked for one after the other, as they are written.
 */
export class OnnxWeight {
  readonly #store: TensorStore;
  readonly #tensor: TensorInfo;
  /** Scales of the form that was made last; the matrix is not kept. */
  #scales: { readonly form: MatrixForm; readonly bytes: Uint8Array } | null = null;

  constructor(store: TensorStore, tensor: TensorInfo) {
    this.#store = store;
    this.#tensor = tensor;
  }

  /** @throws {TypeError} for 4 or 8 bits of what is no matrix. */
  part(part: MatrixPart): OnnxTensor {
    const { name, shape } = this.#tensor;
    const [rows, columns = 1] = shape;
    const blocks = Math.ceil(columns / INT4_BLOCK);
    const tensor = (
      suffix: string,
      element: ElementType,
      dims: readonly number[],
      data: () => Promise<Uint8Array>,
    ): OnnxTensor => {
      const length = dims.reduce((product, d) => product * d, ELEMENT_BYTES[element]!);
      return { name: name + suffix, element, dims, length, data };
    };
    switch (part) {
      case "float32":
      case "float16": {
        const entry = convertedTensor(this.#store, this.#tensor, DTYPE[part]);
        return tensor("", part, shape, () => entry.data());
      }
      case "int8":
        return tensor("_int8", "uint8", [columns, rows], () => this.#matrix("int8"));
      case "int8_scale":
        return tensor("_int8_scale", "float32", [rows], () => this.#scale("int8"));
      case "int4":
        return tensor(
          "_int4",
          "uint8",
          [rows, blocks, INT4_BLOCK / 2],
          () => this.#matrix("int4"),
        );
      case "int4_scale":
        return tensor("_int4_scale", "float32", [rows * blocks], () => this.#scale("int4"));
    }
  }

  async #matrix(form: "int8" | "int4"): Promise<Uint8Array> {
    const { matrix, scales } = await this.#quantize(form);
    this.#scales = { form, bytes: new Uint8Array(scales.buffer) };
    return matrix;
  }

  async #scale(form: "int8" | "int4"): Promise<Uint8Array> {
    if (this.#scales?.form !== form) await this.#matrix(form);
    const { bytes } = this.#scales!;
    this.#scales = null;
    return bytes;
  }

  async #quantize(form: "int8" | "int4"): Promise<Quantized> {
    const values = await this.#store.readFloat32(this.#tensor.name);
    const [rows, columns] = this.#tensor.shape;
    return form === "int8"
      ? quantizeInt8(values, rows, columns)
      : quantizeInt4(values, rows, columns);
  }
}

const ELEMENT_BYTES: Readonly<Partial<Record<ElementType, number>>> = {
  float32: 4,
  float16: 2,
  uint8: 1,
};
