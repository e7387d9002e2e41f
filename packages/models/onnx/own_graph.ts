import {
  type Architecture,
  type Block,
  CheckpointFormatError,
  type FloatDType,
  sizeOf,
  UnsupportedModelError,
  VERSION,
  weightShape,
} from "@lopper/core";
import {
  type ByteSource,
  type ExternalFiles,
  FLOAT_DTYPES,
  MemorySource,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  OnnxTensorStore,
  type PlacedWeight,
  readOnnxGraph,
  type TensorStore,
  type TensorView,
  ViewedTensorStore,
} from "@lopper/formats";
import { cachedDecoder, type DecoderWeight } from "@lopper/graphs";
import { blockTensorName, type Family } from "../families/family.ts";
import { type DeclaredTensor, declaredTensors } from "../model.ts";
import { sameBytes } from "../same_bytes.ts";
import { nodeName } from "./operators.ts";
import { rotaryAngles } from "./rotary_angles.ts";

const DTYPES = { float32: "F32", float16: "F16" } as const;

type Declared = Pick<DeclaredTensor, "name" | "shape">;

/** The name of one unit of a stacked weight, which is a tensor of its own in a graph. */
export function unitTensorName(stacked: string, unit: number): string {
  return `${stacked}.${unit}`;
}

/**
 * The weights of a graph that Lopper wrote itself, whatever the family: the graph of the model that
 * its config describes is made once more, and every byte of it has to be the same, but for where
 * weights lie. So nothing of it has to be understood, and nothing in it computes something else.
 * @throws {UnsupportedModelError} naming the first node that is another one.
 * @throws {CheckpointFormatError} when a weight is missing, or of another shape.
 */
export async function ownGraphWeights(
  graph: OnnxGraph,
  files: ExternalFiles,
  architecture: Architecture,
  family: Family,
): Promise<TensorStore> {
  checkExperts(graph, architecture);
  const declared = declaredBy(architecture, family);
  const used = new Map<string, { readonly tensor: OnnxTensor; readonly dtype: FloatDType }>();
  const expected = cachedDecoder(architecture, {
    matrices: [...graph.tensors.values()].some(isHalf) ? "float16" : "float32",
    anglesOf: (rope) => rotaryAngles(rope, architecture.headDim),
    store: (weight, part) => {
      const { name, shape } = declared(weight);
      const { tensor, place } = storedTensor(graph, { name, shape });
      const element = part === "float16" ? part : "float32";
      used.set(name, { tensor, dtype: DTYPES[element] });
      return { name, element, dims: shape, ...place };
    },
  });
  await checkSame(graph, files.graph, expected);
  const placed: PlacedWeight[] = [];
  for (const [name, { tensor, dtype }] of used) {
    const { source, offset } = await files.locate({ tensor, dtype });
    const { shape, values } = tensor;
    const byteLength = values!.byteLength!;
    placed.push({ stride: 0, info: { name, dtype, shape, file: source.name, offset, byteLength } });
  }
  const store = new OnnxTensorStore(placed, files.sources);
  const views = architecture.blocks.flatMap((block) => stackedViews(block, family));
  return views.length === 0 ? store : new ViewedTensorStore(store, views);
}

const isHalf = ({ elementType }: OnnxTensor) => FLOAT_DTYPES[elementType] === "F16";

/** Before anything is made of their number. @throws {CheckpointFormatError} for too many. */
function checkExperts({ tensors, file }: OnnxGraph, { blocks }: Architecture) {
  for (const { id, routing, dimensions: [{ units }] } of blocks) {
    if (!routing || units <= tensors.size) continue;
    throw new CheckpointFormatError(
      `its config has ${units} experts in ${id}, and the graph has ${tensors.size} tensors in all`,
      { file },
    );
  }
}

/** The name and shape of every weight of a decoder, by its place. */
function declaredBy(
  architecture: Architecture,
  family: Family,
): (weight: DecoderWeight) => Declared {
  const outer = new Map(
    declaredTensors(architecture, family).flatMap(({ role, name, shape }) =>
      "layer" in role ? [] : [[role.part as string, { name, shape }] as const]
    ),
  );
  const blocks = new Map(architecture.blocks.map((block) => [block.id, block]));
  return ({ block: id, name, unit }) => {
    if (id === null) return outer.get(name)!;
    const block = blocks.get(id)!;
    const weight = block.weights.find((weight) => weight.name === name)!;
    const [tensor, shape] = [
      blockTensorName(family, block, name),
      weightShape(weight, sizeOf(block)),
    ];
    return unit === undefined
      ? { name: tensor, shape }
      : { name: unitTensorName(tensor, unit), shape: shape.slice(1) };
  };
}

/** A tensor of a graph as its config declares it, whose values lie in a file beside the graph. */
function storedTensor({ tensors, file }: OnnxGraph, { name, shape }: Declared) {
  const tensor = tensors.get(name);
  const fail = (problem: string): never => {
    throw new CheckpointFormatError(problem, { file, tensor: name });
  };
  const needed = `[${shape.join(", ")}]`;
  if (!tensor) return fail(`the tensor is missing; its config declares it with shape ${needed}`);
  if (tensor.shape.join() !== shape.join()) {
    return fail(`its shape is [${tensor.shape.join(", ")}] and its config needs ${needed}`);
  }
  const { location, offset, byteLength } = tensor.values ?? {};
  return typeof location === "string" && byteLength !== undefined
    ? { tensor, place: { location, offset: offset!, length: byteLength } }
    : fail("Lopper writes its values into a file beside the graph, and they are not in one");
}

/** @throws {UnsupportedModelError} unless the file of a graph has these bytes. */
async function checkSame(graph: OnnxGraph, source: ByteSource, expected: Uint8Array) {
  const isSame = source.size === expected.byteLength &&
    sameBytes(await source.read(0, source.size), expected);
  if (isSame) return;
  const { nodes } = await readOnnxGraph(new MemorySource(graph.file, expected));
  const count = Math.max(nodes.length, graph.nodes.length);
  const other = Array.from({ length: count }, (_, i) => i)
    .find((i) => inWords(nodes[i]) !== inWords(graph.nodes[i]));
  const what = other === undefined
    ? "something beside its nodes"
    : nodeName(graph.nodes[other] ?? nodes[other]);
  throw new UnsupportedModelError(
    `${graph.file}: ${what} is not as Lopper ${VERSION} writes it of the model that its config describes; ` +
      "open the model that it was exported from, or export that anew",
  );
}

function inWords(node: OnnxNode | undefined): string {
  if (!node) return "";
  const { op, domain, inputs, outputs, attributes } = node;
  return JSON.stringify([op, domain, inputs, outputs, [...attributes]]);
}

/** Stacked weights, whose units are tensors of their own. */
function stackedViews(block: Block, family: Family): readonly TensorView[] {
  const size = sizeOf(block);
  return block.weights.filter(({ stacked }) => stacked).map((weight) => {
    const name = blockTensorName(family, block, weight.name);
    const shape = weightShape(weight, size);
    const [units, ...own] = shape;
    const strided = { start: 0, axes: [{ length: own.reduce((a, b) => a * b, 1), stride: 1 }] };
    const parts = Array.from(
      { length: units },
      (_, unit) => ({ tensor: unitTensorName(name, unit), strided }),
    );
    return { name, shape, parts };
  });
}
