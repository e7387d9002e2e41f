import { CheckpointFormatError, type FloatDType, UnsupportedModelError } from "@lopper/core";
import {
  DOUBLE,
  FLOAT_DTYPES,
  isPassing,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type Source,
  type ValueFlow,
} from "@lopper/formats";
import type { Family } from "../families/family.ts";
import { nodeName } from "./operators.ts";
import { isRotaryInput, rotaryNodes } from "./rotary.ts";
import { rolesByStructure } from "./structure.ts";
import {
  describeRole,
  normModules,
  roleByName,
  type TensorRole,
  type WeightUse,
} from "./weight_names.ts";
import type { UsedTensor } from "./weight_sources.ts";

/** A tensor of a graph that is a weight. */
export interface FoundWeight {
  readonly role: TensorRole;
  readonly tensor: OnnxTensor;
  readonly dtype: FloatDType;
  /** The matrix lies as `[in, out]`, where checkpoints have `[out, in]`. */
  readonly transposed: boolean;
  /** Where it is read, at least once. */
  readonly uses: readonly UsedTensor[];
}

/** A tensor where a node reads it, and what its name says. */
interface NamedUse extends UsedTensor {
  readonly source: Source;
  readonly role: TensorRole | undefined;
}

/**
 * Finds the weights of a decoder and their roles: by the name of the node that uses one, else by
 * the name of the tensor, else by the structure of the graph.
 * @throws {UnsupportedModelError} naming the first node that uses a tensor whose role is unknown.
 * @throws {CheckpointFormatError} when two tensors have the same role.
 */
export function findWeights(flow: ValueFlow, family: Family): readonly FoundWeight[] {
  const { graph } = flow;
  const uses = namedUses(flow, family);
  const byStructure = uses.every(({ role }) => role) ? undefined : rolesByStructure(flow, uses);
  const found = new Map<string, FoundWeight & { readonly uses: UsedTensor[] }>();
  for (const used of uses) {
    const { node, use, source: { tensor, transposed } } = used;
    const role = used.role ?? byStructure?.(used) ?? refuse(graph, node, tensor);
    const weight = {
      role,
      tensor,
      dtype: dtypeOf(graph, tensor),
      transposed: use === "matrix" ? isTransposed(node) !== transposed : transposed,
      uses: [used],
    };
    const key = JSON.stringify(role);
    const other = found.get(key);
    if (!other) found.set(key, weight);
    else if (other.tensor === tensor && other.transposed === weight.transposed) {
      other.uses.push(used);
    } else {
      throw new CheckpointFormatError(
        `${nodeName(node)} takes it for ${describeRole(role)}, and ${
          nodeName(other.uses[0].node)
        } takes ${JSON.stringify(other.tensor.name)} for that`,
        { file: graph.file, tensor: tensor.name },
      );
    }
  }
  return [...found.values()];
}

/** @throws {UnsupportedModelError} for a tensor that is used as no weight is. */
function namedUses(flow: ValueFlow, family: Family): readonly NamedUse[] {
  const rotary = rotaryNodes(flow);
  const norms = normModules(family);
  const uses: NamedUse[] = [];
  for (const node of flow.graph.nodes) {
    if (isPassing(node)) continue;
    node.inputs.forEach((value, index) => {
      const source = flow.tensor(value);
      if (!source || !isFloat(source.tensor)) return;
      const { tensor } = source;
      const use = useOf(node, index);
      const roleBy = (name: string) => use && roleByName(name, use, norms);
      const role = tensor.shape.length > 0
        ? roleBy(node.name) ?? roleBy(value) ?? roleBy(tensor.name)
        : undefined;
      // Numbers, and what positions are turned into angles with, are no weights.
      const aside = tensor.size <= 1 || rotary.has(node) || isRotaryInput(node, index);
      if (!role && aside) return;
      uses.push({ node, index, use: use ?? refuse(flow.graph, node, tensor), source, role });
    });
  }
  return uses;
}

function refuse({ file }: OnnxGraph, node: OnnxNode, { name, shape }: OnnxTensor): never {
  throw new UnsupportedModelError(
    `${file}: ${nodeName(node)} (${node.op}) uses the tensor ${JSON.stringify(name)} [${
      shape.join(", ")
    }], and neither names nor the structure of the graph say which weight that is`,
  );
}

/** What a node does with its input, if that is a weight. */
function useOf({ op }: OnnxNode, input: number): WeightUse | undefined {
  switch (op) {
    case "MatMul":
      return input === 1 ? "matrix" : undefined;
    case "Gemm":
      return input === 1 ? "matrix" : input === 2 ? "bias" : undefined;
    case "Gather":
      return input === 0 ? "rows" : undefined;
    case "Add":
      return "bias";
    case "Mul":
      return "norm";
    case "SimplifiedLayerNormalization":
    case "RMSNormalization":
      return input === 1 ? "norm" : undefined;
    case "SkipSimplifiedLayerNormalization":
      return input === 2 ? "norm" : undefined;
  }
}

/** Whether a node multiplies by a matrix `[in, out]`. */
function isTransposed({ op, attributes }: OnnxNode): boolean {
  return op === "MatMul" || (attributes.get("transB") ?? 0) === 0;
}

function isFloat({ elementType }: OnnxTensor): boolean {
  return elementType === DOUBLE || Object.hasOwn(FLOAT_DTYPES, elementType);
}

function dtypeOf({ file }: OnnxGraph, { elementType, name }: OnnxTensor): FloatDType {
  const dtype = FLOAT_DTYPES[elementType];
  if (dtype) return dtype;
  throw new UnsupportedModelError(
    `${file}, tensor ${
      JSON.stringify(name)
    }: it is float64; Lopper reads float32, float16 and bfloat16`,
  );
}
