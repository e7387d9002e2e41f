import { ATTENTION_OPS, type BackendDescription } from "@lopper/backends";
import type { Architecture, Block } from "@lopper/core";
import { type AttentionOp, operatorLacks, residentOperatorLacks } from "@lopper/graphs";

/**
 * Queries of a chunk of GroupQueryAttention: 9 heads over 2048 tokens were fastest with 256 (of 128
 * to 2048).
 */
export const ATTENTION_CHUNK = 256;

/** The others in the order in which they are taken where the fastest lacks something. */
const OTHERS: readonly AttentionOp[] = ["attention", "plain"];

/**
 * The operator that computes attention of a block on a backend.
 * @param tokens of the text, those before it included; any number unless said.
 */
export function attentionOpFor(
  block: Block,
  { attentionOp }: Pick<BackendDescription, "attentionOp">,
  tokens = Infinity,
): AttentionOp {
  const { queryGrowth, ...usual } = block.attention!;
  if (queryGrowth && tokens <= queryGrowth.length) {
    return attentionOpFor({ ...block, attention: usual }, { attentionOp });
  }
  const ops = [attentionOp, ...OTHERS.slice(OTHERS.indexOf(attentionOp) + 1)];
  return ops.find((op) => operatorLacks(op, block) === null) ?? "plain";
}

/** What the fastest operator of each backend lacks to compute a block; that of `webgpu` nothing. */
const LACKS = {
  cpu: operatorLacks,
  wasm: operatorLacks,
  cuda: residentOperatorLacks,
} as const satisfies Partial<Record<keyof typeof ATTENTION_OPS, typeof operatorLacks>>;

/**
 * Which layers of a model do without the fastest operator of a backend, and why: a short sentence
 * for each reason and the backends that share it.
 */
export function slowerAttention({ blocks }: Pick<Architecture, "blocks">): readonly string[] {
  const attended = blocks.filter(({ attention }) => attention);
  const backends = new Map<string, string[]>();
  for (const name of Object.keys(LACKS) as (keyof typeof LACKS)[]) {
    for (const how of slowerOn(name, attended)) {
      backends.set(how, [...backends.get(how) ?? [], name]);
    }
  }
  return [...backends].map(([how, names]) => `on ${names.join(" and ")}, ${how}`);
}

/** How layers attend on a backend that do without its fastest operator. */
function slowerOn(name: keyof typeof LACKS, attended: readonly Block[]): readonly string[] {
  const attentionOp = ATTENTION_OPS[name];
  const layers = new Map<string, number>();
  for (const block of attended) {
    const lacks = LACKS[name](attentionOp, block);
    if (lacks === null) continue;
    const growth = block.attention!.queryGrowth;
    const short = growth ? attentionOpFor(block, { attentionOp }, 1) : null;
    const when = short === attentionOp ? ` in texts of more than ${growth!.length} tokens` : "";
    const key = `${when} by slower operators: the fastest one does not compute ${lacks}`;
    layers.set(key, (layers.get(key) ?? 0) + 1);
  }
  return [...layers].map(([how, count]) => {
    const some = count === 1 ? "1 layer attends" : `${count} layers attend`;
    return `${count === attended.length ? "all layers attend" : some}${how}`;
  });
}

/** In how many chunks the queries of a batch of sequences go through attention. */
export function attentionChunks(op: AttentionOp, batch: number, length: number): number {
  // GroupQueryAttention takes a past beside more than one query for a batch of one only.
  const possible = op === "attention" || (op === "gqa" && batch === 1);
  return possible ? Math.max(1, Math.floor(length / ATTENTION_CHUNK)) : 1;
}
