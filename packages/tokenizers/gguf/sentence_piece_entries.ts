import { mergesByScore } from "./sentence_piece_tokenizer.ts";
import type { MetadataEntry } from "@lopper/formats";
import type { BpeJson, Refuse, TokenTable } from "./token_table.ts";

const SPACES = { type: "Replace", pattern: { String: " " }, content: "▁" };
const PREFIXED = {
  type: "Sequence",
  normalizers: [{ type: "Prepend", prepend: "▁" }, SPACES],
};

/**
 * A BPE with byte fallback as SentencePiece has it. There a merge comes when the score of what it
 * makes is the best, here when its place in the list is the first: scores are minus that place,
 * where all merges that make a token stand together and every pair that makes a token is a merge.
 */
export function sentencePieceEntries(
  { normalizer, pre_tokenizer, model }: BpeJson,
  { tokens, types, ids }: TokenTable,
  refuse: Refuse,
): readonly MetadataEntry[] {
  const prefix = same(normalizer, PREFIXED);
  if (!prefix && !same(normalizer, SPACES) || (pre_tokenizer ?? null) !== null) {
    refuse("its tokenizer marks spaces in a way of its own");
  }
  for (let byte = 0; byte < 256; byte++) {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    if (!ids.has(name)) refuse(`its tokenizer has no token ${name}`);
  }
  if (model.ignore_merges) refuse("its tokenizer looks whole words up before it merges");
  return [
    { key: "tokenizer.ggml.model", type: "string", value: "llama" },
    { key: "tokenizer.ggml.pre", type: "string", value: "default" },
    { key: "tokenizer.ggml.tokens", type: "array", elementType: "string", values: tokens },
    {
      key: "tokenizer.ggml.scores",
      type: "array",
      elementType: "float32",
      values: scoresOf(model.merges, tokens, ids, refuse),
    },
    { key: "tokenizer.ggml.token_type", type: "array", elementType: "int32", values: types },
    { key: "tokenizer.ggml.add_space_prefix", type: "bool", value: prefix },
  ];
}

function scoresOf(
  merges: BpeJson["model"]["merges"],
  tokens: readonly string[],
  ids: ReadonlyMap<string, number>,
  refuse: Refuse,
): readonly number[] {
  const scores = new Array<number>(tokens.length).fill(0);
  const ranked = new Set<string>();
  const pairs = new Set<string>();
  let last = "";
  for (const merge of merges) {
    const pair = typeof merge === "string" ? merge : merge.join(" ");
    const token = pair.replace(" ", "");
    const id = ids.get(token);
    if (id === undefined) return refuse(`its merge ${JSON.stringify(pair)} makes no token`);
    if (token !== last && ranked.has(token)) {
      refuse("the order of its tokenizer's merges is none that scores of tokens give");
    }
    // As many as float32 tells apart: 2²⁴, and no vocabulary has a tenth of that.
    if (!ranked.has(token)) scores[id] = -1 - ranked.size;
    ranked.add(token);
    pairs.add(pair);
    last = token;
  }
  // What no merge makes comes last.
  const rest = -1 - ranked.size;
  tokens.forEach((token, id) => {
    if (!ranked.has(token)) scores[id] = rest;
  });
  const possible = mergesByScore(tokens, ids, scores);
  const extra = possible.find((pair) => !pairs.has(pair.join(" ")));
  if (extra) refuse(`${extra.map((part) => JSON.stringify(part)).join(" and ")} are not merged`);
  return scores;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
