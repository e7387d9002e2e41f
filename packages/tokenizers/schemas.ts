import { z } from "zod";

/** A token that text is split at before anything else, as tokenizer.json has it. */
const addedTokenSchema = z.looseObject({
  id: z.unknown().optional(),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
});

export const tokenizerSchema = z.looseObject({
  model: z.looseObject({}),
  added_tokens: z.array(addedTokenSchema).nullish(),
});
export type TokenizerJson = z.infer<typeof tokenizerSchema>;

/** A special token is named by its text, or by an object that has it. */
const tokenName = z.union([
  z.string(),
  z.looseObject({
    content: z.string(),
    single_word: z.boolean().optional(),
    lstrip: z.boolean().optional(),
    rstrip: z.boolean().optional(),
    normalized: z.boolean().optional(),
  }),
]).nullish();
export type TokenName = z.infer<typeof tokenName>;

/**
 * Keys under which every tokenizer names its special tokens (transformers,
 * `SPECIAL_TOKENS_ATTRIBUTES`).
 */
export const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

const names = Object.fromEntries(SPECIAL_TOKENS.map((key) => [key, tokenName])) as Record<
  typeof SPECIAL_TOKENS[number],
  typeof tokenName
>;

/** tokenizer_config.json and special_tokens_map.json: what they name. */
export const tokenizerConfigSchema = z.looseObject({
  ...names,
  additional_special_tokens: z.array(tokenName).nullish(),
  extra_special_tokens: z.union([z.array(tokenName), z.record(z.string(), tokenName)]).nullish(),
  added_tokens_decoder: z.record(z.string(), addedTokenSchema).nullish(),
});
export type TokenizerConfig = z.infer<typeof tokenizerConfigSchema>;

/** added_tokens.json: ids by token. */
export const addedTokensSchema = z.record(z.string(), z.unknown());

/** The text of a token that is named by it, or by an object that has it. */
export function tokenText(token: TokenName): string | undefined {
  return typeof token === "string" ? token : token?.content;
}
