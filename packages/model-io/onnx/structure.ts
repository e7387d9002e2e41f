import type { OnnxNode } from "./graph.ts";
import type { ValueFlow } from "./value_flow.ts";
import type { TensorRole, WeightUse } from "./weight_names.ts";

/** An input of a node that is a weight. */
export interface UsedTensor {
  readonly node: OnnxNode;
  readonly index: number;
  readonly use: WeightUse;
}

/** Llama 405B has 1,136; every one may be compared with every other. */
const MAX_WEIGHTS = 8192;
/** Visits of nodes that any decoder needs a fraction of; a graph that takes more has no such structure. */
const MAX_VISITS = 4_000_000;
/** x · sigmoid(x): what tells the gate of an MLP from its other matrix. */
const ACTIVATIONS = new Set(["Sigmoid", "Swish", "QuickGelu"]);
const SKIP_NORM = "SkipSimplifiedLayerNormalization";

/**
 * The roles of weights by what they are computed from, for graphs whose names say nothing. A decoder is a chain of norms of the
 * residual stream: three matrices that read one are q, k and v, of which the cache tells the last two; two are gate and up, of
 * which one is activated; what reads those is o and down; the matrix behind the last norm is the head.
 * @returns the role of an input of a node; undefined for every one in a graph that is no such chain.
 */
export function rolesByStructure(
  flow: ValueFlow,
  used: readonly UsedTensor[],
): (tensor: UsedTensor) => TensorRole | undefined {
  const roles = used.length <= MAX_WEIGHTS ? new Structure(flow, used).roles() : undefined;
  return ({ node, index }) => roles?.get(node)?.get(index);
}

type Roles = Map<OnnxNode, Map<number, TensorRole>>;

class Structure {
  readonly #flow: ValueFlow;
  readonly #used: readonly UsedTensor[];
  /** Nodes that multiply by a matrix, norm, or pick rows, and the input that is their weight. */
  readonly #weights: ReadonlyMap<OnnxNode, UsedTensor>;
  readonly #sources = new Map<OnnxNode, ReadonlySet<OnnxNode>>();
  #visits = 0;

  constructor(flow: ValueFlow, used: readonly UsedTensor[]) {
    this.#flow = flow;
    this.#used = used;
    this.#weights = new Map(
      used.filter(({ use }) => use !== "bias").map((tensor) => [tensor.node, tensor]),
    );
  }

  roles(): Roles | undefined {
    const embeddings = this.#nodes("rows");
    if (embeddings.length !== 1) return undefined;
    const roles: Roles = new Map();
    const set = (node: OnnxNode, role: TensorRole) => {
      const { index } = this.#weights.get(node)!;
      roles.set(node, new Map([[index, role]]));
    };
    set(embeddings[0], { part: "embedding" });
    // A norm of the residual stream has the embedding in it; the norms of q and k do not.
    const norms = this.#nodes("norm").filter((node) => this.#of(node).has(embeddings[0]));
    const last = norms.pop();
    if (!last) return undefined;
    for (const [block, norm] of norms.entries()) {
      const layer = Math.floor(block / 2);
      const found = block % 2 === 0 ? this.#attention(norm, layer) : this.#mlp(norm);
      if (!found) return undefined;
      const part = block % 2 === 0 ? "attention" : "mlp";
      for (const [weight, node] of Object.entries({ norm, ...found })) {
        set(node, { part, layer, weight } as TensorRole);
      }
    }
    const head = this.#readers(last);
    if (norms.length % 2 !== 0 || head.length !== 1) return undefined;
    set(last, { part: "finalNorm" });
    set(head[0], { part: "lmHead" });
    this.#setBiases(roles);
    return this.#visits <= MAX_VISITS ? roles : undefined;
  }

  #attention(norm: OnnxNode, layer: number): Record<string, OnnxNode> | undefined {
    const matrices = this.#readers(norm);
    const qNorms = this.#nodes("norm").filter((node) => this.#isOf(node, matrices));
    /** The matrix that a value comes from, perhaps through the norm of q or k. */
    const matrixOf = (value: string | undefined) => {
      const [source, ...others] = this.#before([value ?? ""]);
      if (!source || others.length > 0) return undefined;
      return qNorms.includes(source) ? [...this.#of(source)][0] : source;
    };
    const [key, value] = ["key", "value"].map((name) => `present.${layer}.${name}`);
    const fused = this.#flow.producer(key);
    const inputs = fused?.op === "GroupQueryAttention" ? fused.inputs : [];
    const [k, v] = [inputs[1] || key, inputs[2] || value].map(matrixOf);
    const q = matrices.find((node) => node !== k && node !== v);
    const all = new Set([q, k, v]);
    if (matrices.length !== 3 || all.size !== 3 || !q || !k || !v || !matrices.includes(k)) {
      return undefined;
    }
    const [qNorm, kNorm] = [q, k].map((node) => qNorms.find((n) => this.#of(n).has(node)));
    const o = this.#only([...matrices, ...qNorms], [v]);
    if (!o || !matrices.includes(v)) return undefined;
    return { q, k, v, o, ...(qNorm && { q_norm: qNorm }), ...(kNorm && { k_norm: kNorm }) };
  }

  #mlp(norm: OnnxNode): Record<string, OnnxNode> | undefined {
    const matrices = this.#readers(norm);
    const activated = new Set(
      this.#flow.graph.nodes.filter(({ op }) => ACTIVATIONS.has(op)).flatMap(({ inputs }) => {
        const [source, ...others] = this.#before(inputs);
        return source && others.length === 0 && matrices.includes(source) ? [source] : [];
      }),
    );
    const [gate, ...gates] = activated;
    const up = matrices.find((node) => node !== gate);
    const down = this.#only(matrices, matrices);
    if (matrices.length !== 2 || !gate || gates.length > 0 || !up || !down) return undefined;
    return { gate, up, down };
  }

  /** A bias belongs to the matrix whose product it is added to. */
  #setBiases(roles: Roles) {
    for (const { node, index, use } of this.#used) {
      if (use !== "bias") continue;
      const [source, ...others] = node.op === "Gemm"
        ? [node]
        : this.#before(node.inputs.filter((_, i) => i !== index));
      const { index: matrix = -1 } = source ? this.#weights.get(source) ?? {} : {};
      const role = source && roles.get(source)?.get(matrix);
      if (others.length > 0 || !role || !("layer" in role)) continue;
      const bias = { ...role, weight: `${role.weight}_bias` } as TensorRole;
      roles.set(node, new Map([...roles.get(node) ?? [], [index, bias]]));
    }
  }

  #nodes(use: WeightUse): readonly OnnxNode[] {
    return [...this.#weights.values()].filter((t) => t.use === use).map(({ node }) => node);
  }

  /** The matrices that read nothing but the output of a node. */
  #readers(node: OnnxNode): readonly OnnxNode[] {
    return this.#nodes("matrix").filter((matrix) => this.#isOf(matrix, [node]));
  }

  /** The one matrix that is computed from some of `from`, all of `needed` among them, and nothing else. */
  #only(from: readonly OnnxNode[], needed: readonly OnnxNode[]): OnnxNode | undefined {
    const found = this.#nodes("matrix").filter((matrix) =>
      this.#isOf(matrix, from) && needed.every((node) => this.#of(matrix).has(node))
    );
    return found.length === 1 ? found[0] : undefined;
  }

  /** Whether a node is computed from some of `from`, and from nothing else. */
  #isOf(node: OnnxNode, from: readonly OnnxNode[]): boolean {
    const sources = this.#of(node);
    return sources.size > 0 && [...sources].every((source) => from.includes(source));
  }

  /** The nodes with weights that come last before a node with one. */
  #of(node: OnnxNode): ReadonlySet<OnnxNode> {
    let sources = this.#sources.get(node);
    if (!sources) {
      const { index } = this.#weights.get(node)!;
      sources = this.#before(node.inputs.filter((_, i) => i !== index));
      this.#sources.set(node, sources);
    }
    return sources;
  }

  /** The nodes with weights that come last before some values. */
  #before(values: readonly string[]): ReadonlySet<OnnxNode> {
    const found = new Set<OnnxNode>(), seen = new Set<string>();
    const left = [...values];
    for (let value = left.pop(); value !== undefined; value = left.pop()) {
      const node = this.#flow.producer(value);
      if (!node || seen.has(value) || node.op === "Shape") continue;
      seen.add(value);
      this.#visits += 1;
      if (this.#visits > MAX_VISITS) break;
      // Its further outputs are the residual stream, not normed.
      const skipped = node.op === SKIP_NORM && value !== node.outputs[0];
      if (!skipped && this.#weights.has(node)) found.add(node);
      else left.push(...(skipped ? node.inputs.slice(0, 2) : node.inputs));
    }
    return found;
  }
}
