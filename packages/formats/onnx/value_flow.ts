import { CheckpointFormatError } from "@lopper/core";
import type { OnnxGraph, OnnxNode, OnnxTensor } from "./graph.ts";

/** A tensor as a node reads it. */
export interface Source {
  readonly tensor: OnnxTensor;
  /** Read through a transposition. */
  readonly transposed: boolean;
}

/**
 * Operators that hand a weight on without changing it, but for its type and the order of its axes.
 */
const PASSING = new Set(["Identity", "Cast", "Transpose"]);
/** More than exporters put between a weight and its use; a cycle ends here. */
const MAX_PASSES = 16;

/** Who makes and who reads the values of a graph. */
export class ValueFlow {
  readonly graph: OnnxGraph;
  readonly #producers = new Map<string, OnnxNode>();

  /** @throws {CheckpointFormatError} when two nodes make the same value. */
  constructor(graph: OnnxGraph) {
    this.graph = graph;
    for (const node of graph.nodes) {
      for (const value of node.outputs) {
        if (value === "") continue;
        if (this.#producers.has(value) || graph.tensors.has(value)) {
          throw new CheckpointFormatError(
            `the value ${JSON.stringify(value)} of node ${JSON.stringify(node.name)} is made twice`,
            { file: graph.file },
          );
        }
        this.#producers.set(value, node);
      }
    }
  }

  producer(value: string): OnnxNode | undefined {
    return this.#producers.get(value);
  }

  /**
   * The tensor that a value is, perhaps cast and transposed; undefined for what the graph computes.
   */
  tensor(value: string): Source | undefined {
    let transposed = false;
    for (let at = value, i = 0; i < MAX_PASSES; i++) {
      const tensor = this.graph.tensors.get(at);
      if (tensor) return { tensor, transposed };
      const node = this.#producers.get(at);
      if (!node || !isPassing(node)) return undefined;
      if (node.op === "Transpose") transposed = !transposed;
      at = node.inputs[0];
    }
    return undefined;
  }

  /** Every node that `values` are computed from, as far as `through` lets it. */
  before(values: Iterable<string>, through: (node: OnnxNode) => boolean): ReadonlySet<OnnxNode> {
    const found = new Set<OnnxNode>();
    const left = [...values];
    for (let value = left.pop(); value !== undefined; value = left.pop()) {
      const node = this.#producers.get(value);
      if (!node || found.has(node) || !through(node)) continue;
      found.add(node);
      left.push(...node.inputs);
    }
    return found;
  }
}

/**
 * Whether a node hands its first input on. A matrix has one transposition; without `perm`, axes are
 * reversed.
 */
export function isPassing({ op, domain, inputs, attributes }: OnnxNode): boolean {
  if (domain !== "" || !PASSING.has(op) || inputs.length !== 1) return false;
  const perm = attributes.get("perm");
  return op !== "Transpose" || perm === undefined || String(perm) === "1,0";
}
