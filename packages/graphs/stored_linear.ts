import { type GraphBuilder, MICROSOFT, type StoredWeight } from "./graph_builder.ts";
import { linear } from "./layers.ts";

/** How the matrices of a graph lie in its files. */
export type MatrixForm = "float32" | "float16" | "int8" | "int4";

/**
 * One of the tensors that a weight lies in, for a matrix `[out, in]` of the checkpoint:
 * `float32` and `float16` are the matrix as it is; `int8` is `[in, out]`, uint8 around 128, times `int8_scale [out]`; `int4` is
 * `[out, in / 32, 16]`, two values in a byte, the first in its lower half, around 8, times `int4_scale [out · in / 32]`, where
 * `in / 32` is rounded up and the last block filled with zeros.
 */
export type MatrixPart = "float32" | "float16" | "int8" | "int8_scale" | "int4" | "int4_scale";

/** Values that share a scale in int4; the size for which most engines have fast kernels. */
export const INT4_BLOCK = 32;
/** What stands for zero in int8. */
export const INT8_ZERO = 128;

/**
 * x · Wᵀ (+ bias), x `[N, in]`, for a matrix in any form. `float16` is widened, which engines do once when they load the
 * graph. `int8` rounds x for the product, too, with a scale for each run (ONNX DynamicQuantizeLinear, MatMulInteger);
 * `int4` widens its blocks (com.microsoft.MatMulNBits).
 */
export function storedLinear(
  g: GraphBuilder,
  x: string,
  form: MatrixForm,
  [rows, columns]: readonly [number, number],
  store: (part: MatrixPart) => StoredWeight,
  bias?: string,
): string {
  const add = (y: string) => bias === undefined ? y : g.node("Add", [y, bias]);
  switch (form) {
    case "float32":
      return linear(g, x, g.storedWeight(store(form)), bias);
    case "float16":
      return linear(g, x, g.cast(g.storedWeight(store(form)), "float32"), bias);
    case "int8": {
      const [rounded, scale, zero] = g.nodes("DynamicQuantizeLinear", [x], 3);
      const matrix = g.storedWeight(store("int8"));
      const scales = g.storedWeight(store("int8_scale"));
      const sums = g.node("MatMulInteger", [rounded, matrix, zero, g.uint8(INT8_ZERO)]);
      return add(
        g.node("Mul", [g.cast(sums, "float32"), g.node("Mul", [scale, scales])]),
      );
    }
    case "int4": {
      const parts = (["int4", "int4_scale"] as const).map((part) => g.storedWeight(store(part)));
      const attributes = { K: columns, N: rows, bits: 4, block_size: INT4_BLOCK };
      return add(g.node("MatMulNBits", [x, ...parts], attributes, MICROSOFT));
    }
  }
}
