import { type Architecture, headsOf, UnsupportedModelError } from "@lopper/core";
import type { OnnxGraph, OnnxNode } from "@lopper/formats";

const MICROSOFT = "com.microsoft";

/**
 * What decoders of the families read here are made of, by domain. Other operators may compute
 * anything.
 */
const KNOWN: Readonly<Record<string, ReadonlySet<string>>> = {
  "": new Set([
    ...["Add", "And", "Attention", "Cast", "CastLike", "Concat", "Constant", "ConstantOfShape"],
    ...["Cos", "CumSum", "Div", "Equal", "Expand", "Flatten", "Floor", "Gather"],
    ...["GatherElements", "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Identity"],
    ...[
      "IsNaN",
      "Less",
      "LessOrEqual",
      "Log",
      "MatMul",
      "Max",
      "Min",
      "Mod",
      "Mul",
      "Neg",
      "Not",
      "Or",
      "Pow",
      "Range",
    ],
    ...["Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Reshape"],
    ...["RMSNormalization", "RotaryEmbedding", "ScatterND", "Shape", "Sigmoid"],
    ...["SimplifiedLayerNormalization", "Sin", "Size", "Slice", "Softmax", "Split", "Sqrt"],
    ...["Squeeze", "Sub", "Swish", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where"],
  ]),
  [MICROSOFT]: new Set([
    ...["GroupQueryAttention", "MultiHeadAttention", "QuickGelu", "RotaryEmbedding"],
    ...["SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"],
  ]),
};
const QUANTISED =
  /^(?:MatMulNBits|MatMulBnb4|MatMulFpQ4|MatMulInteger|MatMulIntegerToFloat)$|Quant|^Q[A-Z]/;

/** @throws {UnsupportedModelError} for the first node with quantised weights, by its name. */
export function checkNotQuantised({ nodes, file }: OnnxGraph) {
  const node = nodes.find(({ op, domain }) =>
    QUANTISED.test(op) && !(Object.hasOwn(KNOWN, domain) && KNOWN[domain].has(op))
  );
  if (!node) return;
  throw new UnsupportedModelError(
    `${file}: ${
      nodeName(node)
    } is quantised (${node.op}), and Lopper prunes weights in float32, float16 or bfloat16; open the ` +
      "model's fp32 or fp16 file (model.onnx, model_fp16.onnx), or its safetensors",
  );
}

/**
 * @throws {UnsupportedModelError} for the first node that decoders read here have not, by its name.
 */
export function checkOperators({ nodes, file }: OnnxGraph) {
  for (const node of nodes) {
    const { op, domain } = node;
    if (Object.hasOwn(KNOWN, domain) && KNOWN[domain].has(op)) continue;
    const name = nodeName(node);
    if (op === "If" || op === "Loop" || op === "Scan") {
      throw new UnsupportedModelError(
        `${file}: ${name} is ${op}, which holds graphs of its own (a decoder merged of two, perhaps); Lopper reads ` +
          "decoders in one graph, as `optimum-cli export onnx --task text-generation-with-past` writes them today",
      );
    }
    throw unknownOperator(node, file);
  }
}

/** What is said of a node that decoders read here have not. */
export function unknownOperator(node: OnnxNode, file: string): UnsupportedModelError {
  const { op, domain } = node;
  return new UnsupportedModelError(
    `${file}: ${nodeName(node)} is ${
      domain === "" ? "" : `${domain}.`
    }${op}, and Lopper does not know what a decoder of the ` +
      "families that it reads does with that",
  );
}

/** A node in words, for messages; those without a name are known by what they make. */
export function nodeName({ name, outputs }: OnnxNode): string {
  return name === ""
    ? `the node that makes ${JSON.stringify(outputs[0] ?? "")}`
    : `node ${JSON.stringify(name)}`;
}

/** Numbers in graphs are float32. */
const TOLERANCE = 1e-5;
const same = (a: number, b: number) => Math.abs(a - b) <= TOLERANCE * Math.abs(b);

/**
 * Compares what nodes say about their computation with what the model's config says.
 * @throws {UnsupportedModelError} naming the first node that computes something else.
 */
export function checkAttributes({ nodes, file }: OnnxGraph, architecture: Architecture) {
  const heads = architecture.blocks.filter(({ attention }) => attention).map((block) =>
    headsOf(block)
  );
  const known: KnownValues = {
    architecture,
    heads: new Set(heads.map(({ queryHeads }) => queryHeads)),
    kvHeads: new Set(heads.map(({ kvHeads }) => kvHeads)),
    windows: new Set(architecture.blocks.flatMap(({ attention }) => attention?.window ?? [])),
    scale: 1 / Math.sqrt(architecture.headDim),
  };
  for (const node of nodes) checkNode(node, file, known);
}

/** What attributes are compared with. */
interface KnownValues {
  readonly architecture: Architecture;
  /** Query heads and KV heads of the layers. */
  readonly heads: ReadonlySet<number>;
  readonly kvHeads: ReadonlySet<number>;
  readonly windows: ReadonlySet<number>;
  readonly scale: number;
}

/** What may be asked of the attributes of a node. */
function demandsOn(node: OnnxNode, file: string) {
  const refuse = (name: string, found: unknown, needed: string): never => {
    throw new UnsupportedModelError(
      `${file}: ${name} of ${nodeName(node)} is ${found}; Lopper needs ${needed}`,
    );
  };
  /** An attribute that is absent means its default; Lopper needs one of some values. */
  const need = (name: string, fits: (value: number) => boolean, needed: string) => {
    const value = node.attributes.get(name);
    if (value === undefined || (typeof value === "number" && fits(value))) return;
    refuse(name, value, needed);
  };
  const zero = (name: string) => need(name, (value) => value === 0, "0");
  return { refuse, need, zero };
}

function checkNode(
  node: OnnxNode,
  file: string,
  { architecture, heads, kvHeads, windows, scale }: KnownValues,
) {
  const { refuse, need, zero } = demandsOn(node, file);
  switch (node.op) {
    case "GroupQueryAttention":
      need("kv_num_heads", (n) => kvHeads.has(n), `${[...kvHeads].join(" or ")}, as the config`);
      zero("softcap");
      zero("rotary_interleaved");
      need(
        "local_window_size",
        (n) => n === -1 || windows.has(n),
        `the config's window (${[...windows].join(" or ") || "none"})`,
      );
      // falls through: what all attention has
    case "MultiHeadAttention":
      need("num_heads", (n) => heads.has(n), `${[...heads].join(" or ")}, as the config`);
      need("scale", (s) => s === 0 || same(s, scale), `${scale}, 1 / √(head size)`);
      break;
    case "RotaryEmbedding":
      zero("interleaved");
      need(
        "rotary_embedding_dim",
        (n) => n === 0 || n === architecture.headDim,
        `the head size, ${architecture.headDim}`,
      );
      break;
    case "QuickGelu":
    case "Swish":
      need("alpha", (alpha) => alpha === 1, "1, which makes it SiLU");
      // An absent alpha is 1 for Swish and 1.702 for QuickGelu.
      if (node.op === "QuickGelu" && !node.attributes.has("alpha")) refuse("alpha", 1.702, "1");
      break;
    case "Gemm":
      zero("transA");
      need("alpha", (alpha) => alpha === 1, "1");
      need("beta", (beta) => beta === 1, "1");
      break;
    case "SimplifiedLayerNormalization":
    case "SkipSimplifiedLayerNormalization":
    case "RMSNormalization":
      need(
        "epsilon",
        (epsilon) => same(epsilon, architecture.norm.eps),
        `${architecture.norm.eps}, the config's rms_norm_eps`,
      );
      break;
    case "Attention":
      zero("softcap");
      need("scale", (s) => same(s, scale), `${scale}, 1 / √(head size)`);
      break;
  }
}
