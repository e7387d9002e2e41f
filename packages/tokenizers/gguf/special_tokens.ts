import { EOM_TEXT, EOT_TEXTS, llamaCppEnds } from "./end_tokens.ts";
import { FURTHER_TOKENS } from "./tokenizer.ts";
import type { MetadataEntry } from "@lopper/formats";
import { openTokenizer } from "../tokenizer.ts";
import type { TokenizerFiles } from "../files.ts";
import type { Refuse, TokenizerMetadata, TokenizerSource, TokenTable } from "./token_table.ts";
import { z } from "zod";

const tokenSchema = z.union([
  z.string(),
  z.looseObject({ content: z.string() }).transform(({ content }) => content),
]);

/**
 * Ids of special tokens, and which of them a text begins and ends with: what the tokenizer itself
 * puts there.
 */
export async function specialTokens(
  { folder, endTokens: ends }: TokenizerSource,
  { config }: TokenizerFiles,
  table: TokenTable,
  refuse: Refuse,
): Promise<TokenizerMetadata> {
  using tokenizer = await openTokenizer(folder);
  const around = surrounding(
    await tokenizer.encode("a", { addSpecialTokens: false }),
    await tokenizer.encode("a"),
  );
  if (!around || around.before.length > 1 || around.after.length > 1) {
    return refuse("its tokenizer puts more than one token before or behind a text");
  }
  const named = (name: string) => {
    const token = tokenSchema.safeParse(config[`${name}_token`]);
    return token.success ? table.ids.get(token.data) : undefined;
  };
  const eos = around.after[0] ?? named("eos") ?? ends[0];
  const { eot, eom, lost } = endKeys(ends.filter((id) => id !== eos), table, {
    eos,
    eot: named("eot"),
    eom: named("eom"),
    fim_pad: named("fim_pad"),
    fim_rep: named("fim_rep"),
    fim_sep: named("fim_sep"),
  });
  const ids = {
    bos: around.before[0] ?? named("bos"),
    eos,
    unknown: named("unk"),
    padding: named("pad"),
    ...Object.fromEntries(
      Object.entries(FURTHER_TOKENS).map(([name, [key]]) => [key, named(name)]),
    ),
    eot,
    eom,
  };
  const add = (name: string, value: boolean): MetadataEntry => ({
    key: `tokenizer.ggml.add_${name}_token`,
    type: "bool",
    value,
  });
  return {
    entries: [
      ...Object.entries(ids).flatMap(([name, value]): MetadataEntry[] =>
        value === undefined
          ? []
          : [{ key: `tokenizer.ggml.${name}_token_id`, type: "uint32", value }]
      ),
      add("bos", around.before.length > 0),
      add("eos", around.after.length > 0),
    ],
    notes: lost.map((id) =>
      `${
        JSON.stringify(table.tokens[id])
      } (token ${id}) ends no text in llama.cpp, which has room for three end tokens`
    ),
  };
}

/**
 * Which end tokens a file names: the end of a turn and that of a message, besides the end of a
 * text. Those that llama.cpp knows by their texts need no room.
 * @param ends besides the end of a text.
 * @param named by tokenizer_config.json.
 */
function endKeys(
  ends: readonly number[],
  { tokens, ids }: TokenTable,
  named: Parameters<typeof llamaCppEnds>[1],
) {
  const known = new Set(llamaCppEnds(ids, named));
  const others = ends.filter((id) => !known.has(id));
  const byText = (texts: readonly string[]) => ends.find((id) => texts.includes(tokens[id]));
  const eot = named.eot ?? byText(EOT_TEXTS) ?? others.shift();
  const eom = named.eom ?? byText([EOM_TEXT]) ?? others.find((id) => id !== eot);
  const found = new Set(llamaCppEnds(ids, { ...named, eot, eom }));
  return { eot, eom, lost: ends.filter((id) => !found.has(id)) };
}

/** What stands around `plain` in `whole`; null where it is not in there. */
function surrounding(plain: readonly number[], whole: readonly number[]) {
  for (let at = 0; at + plain.length <= whole.length; at++) {
    if (plain.every((id, i) => whole[at + i] === id)) {
      return { before: whole.slice(0, at), after: whole.slice(at + plain.length) };
    }
  }
  return null;
}
