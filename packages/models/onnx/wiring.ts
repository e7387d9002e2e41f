import { type Architecture, UnsupportedModelError } from "@lopper/core";
import type { OnnxNode, ValueFlow } from "@lopper/formats";
import { nodeName } from "./operators.ts";
import { ACTIVATIONS } from "./structure.ts";
import { describeRole } from "./weight_names.ts";
import { WeightSources } from "./weight_sources.ts";
import type { FoundWeight } from "./weight_uses.ts";

const LOGITS = "logits";

/**
 * Names prove nothing: compares what every weight of a graph is applied to with what it is applied
 * to in a decoder. A norm of the residual stream reads all that was added to it before; matrices
 * read the norm or the matrices before them; the caches hold k and v; and the gate of an MLP is
 * what is activated. What lies between two weights is not looked at, but for the kinds of operators
 * (`checkOperators`).
 * @throws {UnsupportedModelError} naming the first node that is wired otherwise.
 */
export function checkWiring(
  flow: ValueFlow,
  weights: readonly FoundWeight[],
  architecture: Architecture,
) {
  const sources = new WeightSources(flow, weights.flatMap(({ uses }) => uses));
  const names = new Map<OnnxNode, string>();
  for (const { role, uses } of weights) {
    for (const { node, use } of uses) if (use !== "bias") names.set(node, describeRole(role));
  }
  const known = new Set(weights.map(({ role }) => describeRole(role)));
  const decoder = decoderSources(architecture, known);

  const check = (what: string, found: ReadonlySet<OnnxNode>, wanted: readonly string[]) => {
    const reads = new Set([...found].map((node) => names.get(node)!));
    const decoders = new Set(wanted);
    const extra = [...reads].find((name) => !decoders.has(name));
    const missing = wanted.find((name) => !reads.has(name));
    if (sources.exhausted) refuse(what, "takes more steps to compute than any decoder");
    if (extra && missing) refuse(what, `is computed from ${extra} instead of ${missing}`);
    if (missing) refuse(what, `is not computed from ${missing}`);
    if (extra) refuse(what, `is computed from ${extra}, too`);
  };
  const refuse = (what: string, problem: string): never => {
    throw new UnsupportedModelError(
      `${flow.graph.file}: ${what} ${problem}; no model that Lopper computes has that`,
    );
  };

  for (const { role, uses } of weights) {
    const name = describeRole(role);
    for (const tensor of uses) {
      const what = `${nodeName(tensor.node)} (${name})`;
      if (tensor.use === "bias") {
        check(what, sources.biased(tensor), [name.replace("_bias ", " ")]);
      } else {
        check(what, sources.of(tensor.node), decoder.weights.get(name) ?? []);
      }
    }
  }
  for (const [value, wanted] of decoder.caches) {
    const node = flow.producer(value);
    if (!node) continue;
    const fused = node.op === "GroupQueryAttention";
    const input = fused ? node.inputs[value.endsWith("key") ? 1 : 2] : value;
    // Without one, q, k and v come in one value.
    if (input) check(`the cache ${JSON.stringify(value)}`, sources.before([input]), [wanted]);
  }
  if (flow.producer(LOGITS)) check("the output", sources.before([LOGITS]), ["lmHead"]);
  for (const node of flow.graph.nodes) {
    if (!ACTIVATIONS.has(node.op)) continue;
    const found = sources.before(node.inputs);
    const gate = [...found].map((node) => names.get(node)!).find((name) => /^gate /.test(name));
    check(nodeName(node), found, [gate ?? "the gate of an MLP"]);
  }
}

/** What comes last before every weight of a decoder, and in its caches, by the words for roles. */
function decoderSources(architecture: Architecture, known: ReadonlySet<string>) {
  const weights = new Map<string, readonly string[]>();
  const caches = new Map<string, string>();
  const residual = ["embedding"];
  let cached = 0;
  for (const block of architecture.blocks) {
    const of = (weight: string) => describeRole({ part: block.kind, layer: block.layer, weight });
    const [norm, last] = [of("norm"), block.attention ? of("o") : of("down")];
    const post = block.placement === "post";
    const reads = post ? [...residual] : [norm];
    weights.set(norm, post ? [last] : [...residual]);
    residual.push(post ? norm : last);
    if (!block.attention) {
      for (const weight of ["gate", "up"]) weights.set(of(weight), reads);
      weights.set(last, [of("gate"), of("up")]);
      continue;
    }
    const packed = known.has(of("qkv"));
    const matrix = (weight: "q" | "k" | "v") => of(packed ? "qkv" : weight);
    const normed = (weight: "q" | "k") =>
      known.has(of(`${weight}_norm`)) ? of(`${weight}_norm`) : matrix(weight);
    for (const weight of ["q", "k", "v", "qkv"]) weights.set(of(weight), reads);
    for (const weight of ["q", "k"] as const) weights.set(of(`${weight}_norm`), [matrix(weight)]);
    weights.set(last, [...new Set([normed("q"), normed("k"), matrix("v")])]);
    caches.set(`present.${cached}.key`, normed("k"));
    caches.set(`present.${cached}.value`, matrix("v"));
    cached += 1;
  }
  weights.set("finalNorm", residual);
  weights.set("lmHead", ["finalNorm"]);
  return { weights, caches };
}
