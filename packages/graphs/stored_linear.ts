import { QUANT_BLOCK } from "@lopper/formats";
import { type GraphBuilder, MICROSOFT, type StoredWeight } from "./graph_builder.ts";
import { linear } from "./layers.ts";

/** How the matrices of a graph lie in its files. */
export type MatrixForm = "float32" | "float16" | "int8" | "int4";

/**
 * One of the tensors that a weight lies in. `float32` and `float16` are the matrix `[out, in]` of
 * the checkpoint as it is. For `int8` and `int4`, `codes` are `[out, in / 32, 32 · bits / 8]`, and
 * every 32 values along `in` (rounded up) have one of `scales [out · in / 32]` and one of `zeros
 * [out · in / 32 · bits / 8]` (each row from a byte of its own on).
 */
export type MatrixPart =
  | "float32"
  | "float16"
  | `${"int8" | "int4"}_${"codes" | "scales" | "zeros"}`;

/**
 * MatMulNBits may round x to 8 bits, too, with a scale for every block of every row. Engines
 * without kernels for that compute in float32; those with them are faster, and lose far less than
 * by one scale for all of x (DynamicQuantizeLinear), which a few large activations spoil:
 * SmolLM2-135M in 8 bits has a KL divergence of 0.005 this way, and of 0.4 that way.
 */
const INT8_ACCURACY = 4;

/**
 * x · Wᵀ (+ bias), x `[N, in]`, for a matrix in any form. `float16` is widened, which engines do
 * once when they load the graph. `int8` and `int4` are com.microsoft.MatMulNBits.
 */
export function storedLinear(
  g: GraphBuilder,
  x: string,
  form: MatrixForm,
  [rows, columns]: readonly [number, number],
  store: (part: MatrixPart) => StoredWeight,
  bias?: string,
): string {
  switch (form) {
    case "float32":
      return linear(g, x, g.storedWeight(store(form)), bias);
    case "float16":
      return linear(g, x, g.cast(g.storedWeight(store(form)), "float32"), bias);
    case "int8":
    case "int4": {
      const parts = (["codes", "scales", "zeros"] as const).map((part) =>
        g.storedWeight(store(`${form}_${part}`))
      );
      const attributes = {
        K: columns,
        N: rows,
        bits: form === "int8" ? 8 : 4,
        block_size: QUANT_BLOCK,
        accuracy_level: INT8_ACCURACY,
      };
      const product = g.node("MatMulNBits", [x, ...parts], attributes, MICROSOFT);
      return bias === undefined ? product : g.node("Add", [product, bias]);
    }
  }
}
