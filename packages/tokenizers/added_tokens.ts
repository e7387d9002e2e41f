import { CheckpointFormatError } from "@lopper/core";
import { quoted } from "./quoted.ts";
import {
  SPECIAL_TOKENS,
  type TokenizerConfig,
  type TokenizerJson,
  type TokenName,
  tokenText,
} from "./schemas.ts";
import { checkId, sharedId, type Vocabulary } from "./vocabulary.ts";

/** A token that text is split at before anything else; the fields are those of tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no letter, digit or underscore is beside it. */
  readonly single_word: boolean;
  /** Takes the white space before it, and behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in the text as the normaliser leaves it. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** An added token, and the file that it is from. */
export interface FoundToken extends AddedToken {
  readonly file: string;
}

/** What a folder says of added tokens, beside tokenizer.json. */
export interface AddedTokenSources {
  readonly config: TokenizerConfig;
  /** added_tokens.json, where it counts. */
  readonly legacy: Readonly<Record<string, unknown>>;
}

/**
 * Every added token, with the id that transformers gives it (5.24, `TokenizersBackend.__init__`;
 * tokenizers 0.23, `AddedVocabulary::add_tokens`): those of tokenizer.json in their order, those
 * that added_tokens_decoder or added_tokens.json list by id, those that are only named. A token of
 * the vocabulary has its id there; others follow each other behind the vocabulary, whatever a file
 * says, so a file that says something else is refused.
 * @throws {CheckpointFormatError} when an id is none, belongs to another token, or is not the one
 *   that it would get.
 */
export function addedTokens(
  json: TokenizerJson,
  vocabulary: Vocabulary,
  { config, legacy }: AddedTokenSources,
  folder: string,
): readonly FoundToken[] {
  const tokens = new AddedTokens(vocabulary);
  for (const { id, ...token } of json.added_tokens ?? []) {
    tokens.add(id ?? null, withFlags(token), `${folder}/tokenizer.json`);
  }
  const byId = <T>(list: (readonly [id: unknown, token: T])[]) =>
    list.sort(([a], [b]) => Number(a) - Number(b));
  const configFile = `${folder}/tokenizer_config.json`;
  const decoder = Object.entries(config.added_tokens_decoder ?? {});
  for (const [key, { id: _, ...token }] of byId(decoder)) {
    const id = /^\d+$/.test(String(key)) ? Number(key) : key;
    tokens.add(id, withFlags(token), configFile);
  }
  const named = namedTokens(config);
  const names = new Set(named.map(tokenText));
  const listed = Object.entries(legacy).map(([content, id]) => [id, content] as const);
  for (const [id, content] of byId(listed)) {
    if (tokens.has(content)) continue;
    const special = names.has(content);
    tokens.add(id, withFlags({ content, special }), `${folder}/added_tokens.json`);
  }
  for (const token of named) {
    const content = tokenText(token)!;
    if (tokens.has(content)) continue;
    const flags = typeof token === "object" ? token : {};
    tokens.add(undefined, withFlags({ ...flags, content, special: true }), configFile);
  }
  return tokens.list();
}

/** The tokens that have an id already, and the next id. */
class AddedTokens {
  readonly #vocabulary: Vocabulary;
  readonly #byContent = new Map<string, FoundToken>();
  readonly #byId = new Map<number, string>();
  #next: number;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#next = vocabulary.ids.size;
  }

  has(content: string): boolean {
    return this.#byContent.has(content);
  }

  list(): readonly FoundToken[] {
    return [...this.#byContent.values()];
  }

  /** @param said the id that `file` gives the token; undefined where it only names it. */
  add(said: unknown, token: Omit<AddedToken, "id">, file: string) {
    const { content } = token;
    if (content === "") return;
    const known = this.#byContent.get(content)?.id ?? this.#vocabulary.ids.get(content);
    const id = known ?? this.#next;
    this.#check(said === undefined ? id : said, id, content, file);
    this.#byContent.set(content, { id, ...token, file });
    this.#byId.set(id, content);
    this.#next = Math.max(this.#next, id + 1);
  }

  #check(said: unknown, id: number, content: string, file: string) {
    checkId(said, `the added token ${quoted(content)}`, file);
    const other = this.#byId.get(said) ?? this.#vocabulary.tokens[said];
    if (other !== undefined && other !== content) throw sharedId(content, other, said, file);
    if (said === id) return;
    throw new CheckpointFormatError(
      `the added token ${quoted(content)} has the id ${said}, and by ${
        this.#vocabulary.ids.has(content) || this.has(content)
          ? "what the files say elsewhere"
          : "its place behind the vocabulary"
      } it has ${id}`,
      { file },
    );
  }
}

type NamedToken = Exclude<TokenName, null | undefined>;

/**
 * The special tokens that a config names, in the order in which transformers adds those that are
 * new.
 */
function namedTokens(config: TokenizerConfig): readonly NamedToken[] {
  const { extra_special_tokens: extra } = config;
  const own = Object.entries(config)
    .filter(([key, value]) => key.endsWith("_token") && typeof value === "string")
    .filter(([key]) => !SPECIAL_TOKENS.some((name) => name === key))
    .map(([, value]) => value as string);
  return [
    ...SPECIAL_TOKENS.map((key) => config[key]),
    ...own,
    ...(extra && !Array.isArray(extra) ? Object.values(extra) : []),
    ...furtherTokens(config),
  ].filter((token) => token !== null && token !== undefined);
}

/**
 * Of the two lists of further special tokens, the older one counts only where the other is empty.
 */
function furtherTokens(config: TokenizerConfig): readonly TokenName[] {
  const { extra_special_tokens: extra, additional_special_tokens: additional } = config;
  return Array.isArray(extra) && extra.length > 0 ? extra : additional ?? [];
}

function withFlags(token: Partial<AddedToken> & { readonly content: string }) {
  const { content, special = false } = token;
  const { single_word = false, lstrip = false, rstrip = false } = token;
  const { normalized = !special } = token;
  return { content, single_word, lstrip, rstrip, normalized, special };
}
