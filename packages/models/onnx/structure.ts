import type { OnnxNode, ValueFlow } from "@lopper/formats";
import type { TensorRole, WeightUse } from "./weight_names.ts";
import { type UsedTensor, WeightSources } from "./weight_sources.ts";

/** Llama 405B has 1,136; every one may be compared with every other. */
const MAX_WEIGHTS = 8192;
/** x · sigmoid(x): what tells the gate of an MLP from its other matrix. */
export const ACTIVATIONS: ReadonlySet<string> = new Set(["Sigmoid", "Swish", "QuickGelu"]);

/**
 * The roles of weights by what they are computed from, for graphs whose names say nothing. A
 * decoder is a chain of norms of the residual stream: three matrices that read one are q, k and v,
 * of which the cache tells the last two; two are gate and up, of which one is activated; what reads
 * those is o and down; the matrix behind the last norm is the head.
 * @returns the role of an input of a node; undefined for every one in a graph that is no such
 *   chain.
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
  readonly #sources: WeightSources;

  constructor(flow: ValueFlow, used: readonly UsedTensor[]) {
    this.#flow = flow;
    this.#used = used;
    this.#sources = new WeightSources(flow, used);
  }

  roles(): Roles | undefined {
    const embeddings = this.#nodes("rows");
    if (embeddings.length !== 1) return undefined;
    const roles: Roles = new Map();
    const set = (node: OnnxNode, role: TensorRole) => {
      const { index } = this.#sources.weights.get(node)!;
      roles.set(node, new Map([[index, role]]));
    };
    set(embeddings[0], { part: "embedding" });
    // A norm of the residual stream has the embedding in it; the norms of q and k do not.
    const norms = this.#nodes("norm").filter((node) => this.#sources.of(node).has(embeddings[0]));
    const last = norms.pop();
    if (!last) return undefined;
    for (const [block, norm] of norms.entries()) {
      const layer = Math.floor(block / 2);
      const found = block % 2 === 0 ? this.#attention(norm, layer) : this.#mlp(norm);
      if (!found) return undefined;
      const part = block % 2 === 0 ? "attention" : "mlp";
      for (const [weight, node] of Object.entries({ norm, ...found })) {
        set(node, { part, layer, weight });
      }
    }
    const head = this.#readers(last);
    if (norms.length % 2 !== 0 || head.length !== 1) return undefined;
    set(last, { part: "finalNorm" });
    set(head[0], { part: "lmHead" });
    this.#setBiases(roles);
    return this.#sources.exhausted ? undefined : roles;
  }

  #attention(norm: OnnxNode, layer: number): Record<string, OnnxNode> | undefined {
    const matrices = this.#readers(norm);
    const qNorms = this.#nodes("norm").filter((node) => this.#isOf(node, matrices));
    /** The matrix that a value comes from, perhaps through the norm of q or k. */
    const matrixOf = (value: string | undefined) => {
      const [source, ...others] = this.#sources.before([value ?? ""]);
      if (!source || others.length > 0) return undefined;
      return qNorms.includes(source) ? [...this.#sources.of(source)][0] : source;
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
    const [qNorm, kNorm] = [q, k].map((node) => qNorms.find((n) => this.#sources.of(n).has(node)));
    const o = this.#only([...matrices, ...qNorms], [v]);
    if (!o || !matrices.includes(v)) return undefined;
    return { q, k, v, o, ...(qNorm && { q_norm: qNorm }), ...(kNorm && { k_norm: kNorm }) };
  }

  #mlp(norm: OnnxNode): Record<string, OnnxNode> | undefined {
    const matrices = this.#readers(norm);
    const activated = new Set(
      this.#flow.graph.nodes.filter(({ op }) => ACTIVATIONS.has(op)).flatMap(({ inputs }) => {
        const [source, ...others] = this.#sources.before(inputs);
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
    for (const tensor of this.#used) {
      const { node, index, use } = tensor;
      if (use !== "bias") continue;
      const [source, ...others] = this.#sources.biased(tensor);
      const { index: matrix = -1 } = source ? this.#sources.weights.get(source) ?? {} : {};
      const role = source && roles.get(source)?.get(matrix);
      if (others.length > 0 || !role || !("layer" in role)) continue;
      const bias = { ...role, weight: `${role.weight}_bias` };
      roles.set(node, new Map([...roles.get(node) ?? [], [index, bias]]));
    }
  }

  #nodes(use: WeightUse): readonly OnnxNode[] {
    return [...this.#sources.weights.values()].filter((t) => t.use === use).map(({ node }) => node);
  }

  /** The matrices that read nothing but the output of a node. */
  #readers(node: OnnxNode): readonly OnnxNode[] {
    return this.#nodes("matrix").filter((matrix) => this.#isOf(matrix, [node]));
  }

  /**
   * The one matrix that is computed from some of `from`, all of `needed` among them, and nothing
   * else.
   */
  #only(from: readonly OnnxNode[], needed: readonly OnnxNode[]): OnnxNode | undefined {
    const found = this.#nodes("matrix").filter((matrix) =>
      this.#isOf(matrix, from) && needed.every((node) => this.#sources.of(matrix).has(node))
    );
    return found.length === 1 ? found[0] : undefined;
  }

  /** Whether a node is computed from some of `from`, and from nothing else. */
  #isOf(node: OnnxNode, from: readonly OnnxNode[]): boolean {
    const sources = this.#sources.of(node);
    return sources.size > 0 && [...sources].every((source) => from.includes(source));
  }
}
