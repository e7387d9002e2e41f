import { type Block, sizeOf, weightShape } from "@lopper/core";
import type { BlockWeights } from "../block_scope.ts";
import type { GraphBuilder, StoredWeight } from "../graph_builder.ts";
import { type MatrixForm, type MatrixPart, storedLinear } from "../stored_linear.ts";

/** Says where the bytes of a weight lie, or of one part of it; of a stacked one, of one unit. */
export type StoreWeight = (name: string, part: MatrixPart, unit?: number) => StoredWeight;

/**
 * The weights of a block in files beside the graph, as the checkpoint has them: matrices `[out,
 * in]` in a form of their own, norms and biases in float32.
 */
export function storedWeights(
  g: GraphBuilder,
  block: Block,
  form: MatrixForm,
  store: StoreWeight,
): BlockWeights {
  const size = sizeOf(block);
  const weights = new Map(block.weights.map((weight) => [weight.name, weight]));
  const vector = (name: string) => g.storedWeight(store(name, "float32"));
  return {
    vector,
    project(x, name) {
      const [rows, columns] = weightShape(weights.get(name)!, size);
      const bias = weights.has(`${name}_bias`) ? vector(`${name}_bias`) : undefined;
      return storedLinear(g, x, form, [rows, columns], (part) => store(name, part), bias);
    },
    ofUnit: (unit) => ({
      project(x, name) {
        const [, rows, columns] = weightShape(weights.get(name)!, size);
        const bias = weights.has(`${name}_bias`)
          ? g.storedWeight(store(`${name}_bias`, "float32", unit))
          : undefined;
        const place = (part: MatrixPart) => store(name, part, unit);
        return storedLinear(g, x, form, [rows, columns], place, bias);
      },
    }),
  };
}
