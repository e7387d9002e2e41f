import { type Architecture, DTYPE_BYTES, UnsupportedModelError } from "@lopper/core";
import {
  type ExternalFiles,
  FLOAT_DTYPES,
  type OnnxNode,
  toFloat32,
  type ValueFlow,
} from "@lopper/formats";
import { nodeName, unknownOperator } from "./operators.ts";

/** By what queries grow; nothing else that a decoder computes has such a node. */
const MARKS = new Set(["Floor", "Log"]);

/**
 * Compares how queries of a graph grow with their positions with what its config says: floors are
 * of positions divided by the length, logarithms are multiplied with the rate.
 * @throws {UnsupportedModelError} naming the first node that says otherwise.
 */
export async function checkQueryGrowth(
  flow: ValueFlow,
  files: ExternalFiles,
  { blocks }: Architecture,
) {
  const { file, nodes } = flow.graph;
  const [growth] = blocks.flatMap(({ attention }) => attention?.queryGrowth ?? []);
  const marks = nodes.filter(({ op, domain }) => domain === "" && MARKS.has(op));
  if (!growth) {
    if (marks.length > 0) throw unknownOperator(marks[0], file);
    return;
  }
  const needed = `1 + ${growth.rate} · ln(1 + ⌊position / ${growth.length}⌋), as the config has it`;
  for (const op of MARKS) {
    if (marks.some((node) => node.op === op)) continue;
    throw new UnsupportedModelError(
      `${file}: queries do not grow with their positions (no node is ${op}); Lopper needs ${needed}`,
    );
  }
  for (const node of marks) {
    const found = node.op === "Floor"
      ? await numbersOf(flow.producer(node.inputs[0] ?? ""), "Div", flow, files)
      : await numbersOf(reader(flow, node.outputs[0]), "Mul", flow, files);
    const wanted = Math.fround(node.op === "Floor" ? growth.length : growth.rate);
    if (found.includes(wanted)) continue;
    throw new UnsupportedModelError(
      `${file}: ${nodeName(node)} makes queries grow otherwise (${
        found.join(", ") || "by no number"
      }); Lopper needs ${needed}`,
    );
  }
}

/** The one node that reads a value. */
function reader({ graph }: ValueFlow, value: string): OnnxNode | undefined {
  const found = graph.nodes.filter(({ inputs }) => inputs.includes(value));
  return found.length === 1 ? found[0] : undefined;
}

/** The numbers by which a node of this kind divides or multiplies. */
async function numbersOf(
  node: OnnxNode | undefined,
  op: string,
  flow: ValueFlow,
  files: ExternalFiles,
): Promise<readonly number[]> {
  if (node?.op !== op) return [];
  const numbers: number[] = [];
  for (const value of op === "Div" ? node.inputs.slice(1) : node.inputs) {
    const tensor = flow.graph.tensors.get(value);
    const dtype = tensor && FLOAT_DTYPES[tensor.elementType];
    if (!dtype || tensor.size !== 1) continue;
    const { source, offset } = await files.locate({ tensor, dtype });
    numbers.push(...toFloat32(dtype, await source.read(offset, DTYPE_BYTES[dtype])));
  }
  return numbers;
}
