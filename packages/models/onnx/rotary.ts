import type { OnnxNode, ValueFlow } from "@lopper/formats";

/** Inputs that hold tables of cosines and sines, one row a position. */
const TABLE_INPUTS: Readonly<Record<string, readonly [number, number]>> = {
  "com.microsoft.GroupQueryAttention": [7, 8],
  "com.microsoft.RotaryEmbedding": [2, 3],
  ".RotaryEmbedding": [1, 2],
};

function tableInputs({ op, domain }: OnnxNode): readonly number[] {
  return TABLE_INPUTS[`${domain}.${op}`] ?? [];
}

export function isRotaryInput(node: OnnxNode, index: number): boolean {
  return tableInputs(node).includes(index);
}

/** The nodes from which cosines and sines of positions come. */
export function rotaryNodes(flow: ValueFlow): ReadonlySet<OnnxNode> {
  const values = flow.graph.nodes.flatMap((node) =>
    node.op === "Cos" || node.op === "Sin"
      ? node.inputs
      : tableInputs(node).flatMap((index) => node.inputs[index] ?? [])
  );
  // Where positions are counted from the shape of a text, the text is no part of it.
  return flow.before(values, ({ op }) => op !== "Shape");
}

/** The values that nodes read as tables of cosines and sines, each pair once. */
export function rotaryTables({ graph }: ValueFlow): readonly (readonly [string, string])[] {
  const pairs = graph.nodes.flatMap((node): [string, string][] => {
    const [cos, sin] = tableInputs(node).map((index) => node.inputs[index] ?? "");
    return cos && sin ? [[cos, sin]] : [];
  });
  return [...new Map(pairs.map((pair) => [JSON.stringify(pair), pair])).values()];
}
