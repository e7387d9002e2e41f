import {
  type Architecture,
  DTYPE_BYTES,
  firstRope,
  type FloatDType,
  UnsupportedModelError,
} from "@lopper/core";
import {
  type ExternalFiles,
  FLOAT_DTYPES,
  type OnnxNode,
  type OnnxTensor,
  toFloat32,
  type ValueFlow,
} from "@lopper/formats";
import { ropeFrequencies } from "../rope_frequencies.ts";
import { nodeName } from "./operators.ts";
import { ANGLE_TOLERANCE, frequenciesOf, type StoredTable } from "./rope_tables.ts";
import { rotaryNodes, rotaryTables } from "./rotary.ts";

/** What float16 rounds a small angle by at most. */
const MAX_ROUNDING = 1e-7;
/** Operators that hand the frequencies on, in another shape. */
const RESHAPING = new Set([
  ...["Cast", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"],
]);
/** More than exporters put between a tensor and its use; a cycle ends here. */
const MAX_PASSES = 16;

/**
 * Compares the rotary angles of a graph, as its tensors have them, with those of its config: a
 * config.json that two versions of transformers have written to may say both.
 * @throws {UnsupportedModelError} naming the tensor that has others.
 */
export async function checkRotaryAngles(
  flow: ValueFlow,
  files: ExternalFiles,
  architecture: Architecture,
) {
  const rope = firstRope(architecture);
  if (!rope) return;
  const { headDim } = architecture;
  const expected = ropeFrequencies(rope, headDim);
  const check = (found: ArrayLike<number>, dtype: FloatDType, name: string) => {
    if (found.length !== expected.length) return;
    const pair = expected.findIndex((f, i) =>
      !(Math.abs(found[i] - f) <= ANGLE_TOLERANCE[dtype] * f + MAX_ROUNDING)
    );
    if (pair < 0) return;
    throw new UnsupportedModelError(
      `${flow.graph.file}: the rotary angles of the graph (${name}) are not those of its config: channels of pair ${pair} ` +
        `turn by ${found[pair].toPrecision(6)} radians a token, and by ${
          expected[pair].toPrecision(6)
        } with rope_theta ${rope.theta}; one of the two is wrong`,
    );
  };
  for (const { node, tensor } of frequencyTensors(flow)) {
    const dtype = FLOAT_DTYPES[tensor.elementType];
    if (!dtype || tensor.size !== expected.length) continue;
    const { source, offset } = await files.locate({ tensor, dtype });
    const bytes = await source.read(offset, tensor.size * DTYPE_BYTES[dtype]);
    check(toFloat32(dtype, bytes), dtype, nodeName(node));
  }
  for (const pair of rotaryTables(flow)) {
    const tables = await storedTables(pair, flow, files);
    if (!tables) continue;
    const [cosines, sines] = tables;
    check((await frequenciesOf(cosines, sines)).frequencies, cosines.dtype, cosines.name);
  }
}

/** What positions are multiplied by on their way to a sine or a cosine, where that is a tensor. */
function frequencyTensors(flow: ValueFlow): readonly { node: OnnxNode; tensor: OnnxTensor }[] {
  return [...rotaryNodes(flow)].flatMap((node) => {
    if (node.op !== "Mul" && node.op !== "MatMul") return [];
    const tensors = node.inputs.flatMap((value) => tensorBehind(flow, value) ?? []);
    // Of two tensors neither is a position.
    return tensors.length === 1 ? [{ node, tensor: tensors[0] }] : [];
  });
}

function tensorBehind(flow: ValueFlow, value: string): OnnxTensor | undefined {
  for (let at = value, i = 0; i < MAX_PASSES; i++) {
    const tensor = flow.graph.tensors.get(at);
    const node = flow.producer(at);
    if (tensor || !node || !RESHAPING.has(node.op)) return tensor;
    at = node.inputs[0] ?? "";
  }
}

/** A pair of tables of cosines and sines; undefined where they are no tensors, or not alike. */
export async function storedTables(
  pair: readonly [string, string],
  flow: ValueFlow,
  files: ExternalFiles,
): Promise<readonly [StoredTable, StoredTable] | undefined> {
  const tables: StoredTable[] = [];
  for (const value of pair) {
    const source = flow.tensor(value);
    const dtype = source && FLOAT_DTYPES[source.tensor.elementType];
    if (!dtype || source.transposed || source.tensor.shape.length !== 2) return undefined;
    const { name, shape: [rows, columns] } = source.tensor;
    const place = await files.locate({ tensor: source.tensor, dtype });
    const rowBytes = columns * DTYPE_BYTES[dtype];
    tables.push({
      name,
      dtype,
      rows,
      readRow: (row) => place.source.read(place.offset + row * rowBytes, rowBytes),
    });
  }
  const [cosines, sines] = tables;
  const alike = cosines.rows === sines.rows && cosines.dtype === sines.dtype;
  return alike ? [cosines, sines] : undefined;
}
