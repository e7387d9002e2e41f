import type { OnnxNode, ValueFlow } from "@lopper/formats";
import type { WeightUse } from "./weight_names.ts";

/** An input of a node that is a weight. */
export interface UsedTensor {
  readonly node: OnnxNode;
  readonly index: number;
  readonly use: WeightUse;
}

/**
 * Visits of nodes that any decoder needs a fraction of; a graph that takes more has no such
 * structure.
 */
const MAX_VISITS = 4_000_000;
const SKIP_NORM = "SkipSimplifiedLayerNormalization";

/** What the weights of a graph have to do with each other. */
export class WeightSources {
  /** Nodes that multiply by a matrix, norm, or pick rows, and the input that is their weight. */
  readonly weights: ReadonlyMap<OnnxNode, UsedTensor>;
  readonly #flow: ValueFlow;
  readonly #sources = new Map<OnnxNode, ReadonlySet<OnnxNode>>();
  #visits = 0;

  constructor(flow: ValueFlow, used: readonly UsedTensor[]) {
    this.#flow = flow;
    this.weights = new Map(
      used.filter(({ use }) => use !== "bias").map((tensor) => [tensor.node, tensor]),
    );
  }

  /** The graph took more visits than any decoder: what was found is not all there is. */
  get exhausted(): boolean {
    return this.#visits > MAX_VISITS;
  }

  /** The nodes with weights that come last before a node with one. */
  of(node: OnnxNode): ReadonlySet<OnnxNode> {
    let sources = this.#sources.get(node);
    if (!sources) {
      const { index } = this.weights.get(node)!;
      sources = this.before(node.inputs.filter((_, i) => i !== index));
      this.#sources.set(node, sources);
    }
    return sources;
  }

  /** The nodes with weights that come last before some values. */
  before(values: readonly string[]): ReadonlySet<OnnxNode> {
    const found = new Set<OnnxNode>(), seen = new Set<string>();
    const left = [...values];
    for (let value = left.pop(); value !== undefined; value = left.pop()) {
      const node = this.#flow.producer(value);
      if (!node || seen.has(value) || node.op === "Shape") continue;
      seen.add(value);
      this.#visits += 1;
      if (this.exhausted) break;
      // Its further outputs are the residual stream, not normed.
      const skipped = node.op === SKIP_NORM && value !== node.outputs[0];
      if (!skipped && this.weights.has(node)) found.add(node);
      else left.push(...(skipped ? node.inputs.slice(0, 2) : node.inputs));
    }
    return found;
  }

  /** The nodes with weights whose product a bias is added to. */
  biased({ node, index }: UsedTensor): ReadonlySet<OnnxNode> {
    if (node.op === "Gemm") return new Set([node]);
    return this.before(node.inputs.filter((_, i) => i !== index));
  }
}
