import type { FloatDType } from "@lopper/core";
import {
  QUANT_BLOCK,
  quantizeBlocks,
  type QuantizedMatrix,
  type TensorData,
  type TensorInfo,
  type TensorStore,
} from "@lopper/formats";
import type { ElementType, MatrixPart } from "@lopper/graphs";
import { convertedTensor } from "./convert.ts";

/** A tensor of an ONNX file: how it is declared, and its bytes when their turn comes. */
export interface OnnxTensor extends TensorData {
  readonly element: ElementType;
  readonly dims: readonly number[];
}

const DTYPE: Readonly<Record<"float32" | "float16", FloatDType>> = {
  float32: "F32",
  float16: "F16",
};
const ELEMENT_BYTES = { float32: 4, float16: 2, uint8: 1 } as const;

/**
 * The tensors in which a weight of a checkpoint lies in an ONNX file. Those of a quantised matrix
 * are made in one pass over it: the codes are handed out, scales and zeros, which are far smaller,
 * wait for their turn.
 */
export class OnnxWeight {
  readonly #store: TensorStore;
  readonly #tensor: TensorInfo;
  #waiting: Omit<QuantizedMatrix, "matrix"> | null = null;

  constructor(store: TensorStore, tensor: TensorInfo) {
    this.#store = store;
    this.#tensor = tensor;
  }

  part(part: MatrixPart): OnnxTensor {
    const { name, shape } = this.#tensor;
    const tensor = (
      name: string,
      element: keyof typeof ELEMENT_BYTES & ElementType,
      dims: readonly number[],
      data: () => Promise<Uint8Array>,
    ): OnnxTensor => {
      const length = dims.reduce((product, d) => product * d, ELEMENT_BYTES[element]);
      return { name, element, dims, length, data };
    };
    if (part === "float32" || part === "float16") {
      const entry = convertedTensor(this.#store, this.#tensor, DTYPE[part]);
      return tensor(name, part, shape, () => entry.data());
    }
    const [form, kind] = part.split("_");
    const bits = form === "int8" ? 8 : 4;
    const [rows, columns] = shape;
    const blocks = Math.ceil(columns / QUANT_BLOCK);
    const of = `${name}_${part}`;
    switch (kind) {
      case "codes":
        return tensor(of, "uint8", [rows, blocks, QUANT_BLOCK * bits / 8], async () => {
          const { matrix, ...rest } = await this.#quantize(bits);
          this.#waiting = rest;
          return matrix;
        });
      case "scales":
        return tensor(of, "float32", [rows * blocks], async () => {
          const { scales } = this.#waiting ?? await this.#quantize(bits);
          return new Uint8Array(scales.buffer);
        });
      default:
        return tensor(of, "uint8", [rows * Math.ceil(blocks * bits / 8)], async () => {
          const { zeros } = this.#waiting ?? await this.#quantize(bits);
          this.#waiting = null;
          return zeros;
        });
    }
  }

  async #quantize(bits: 4 | 8): Promise<QuantizedMatrix> {
    const values = await this.#store.readFloat32(this.#tensor.name);
    const [rows, columns] = this.#tensor.shape;
    return quantizeBlocks(values, rows, columns, bits);
  }
}
