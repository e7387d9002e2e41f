import { type ModelFolder, readJson, readJsonText } from "@lopper/formats";
import { addedTokens, type FoundToken } from "./added_tokens.ts";
import { quoted } from "./quoted.ts";
import {
  addedTokensSchema,
  SPECIAL_TOKENS,
  type TokenizerConfig,
  tokenizerConfigSchema,
  type TokenizerJson,
  tokenizerSchema,
  tokenText,
} from "./schemas.ts";
import { readTemplateIds, type TemplateIds } from "./template_ids.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

const TOKENIZER = "tokenizer.json";
const CONFIG = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP = "special_tokens_map.json";
const ADDED_TOKENS = "added_tokens.json";

/** What the files of a tokenizer say. */
export interface TokenizerFiles {
  /** tokenizer.json as it stands. */
  readonly text: string;
  /** tokenizer.json, with every added token that the files know. */
  readonly json: TokenizerJson;
  /**
   * tokenizer_config.json, with the names of special_tokens_map.json where those count; empty where
   * there is none.
   */
  readonly config: TokenizerConfig;
  /** Without the added tokens. */
  readonly vocabulary: Vocabulary;
  readonly added: readonly FoundToken[];
  readonly templateIds: TemplateIds;
  /** What of the files is passed over, one short sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reads the files of a tokenizer as transformers does: a tokenizer_config.json with
 * `added_tokens_decoder` says all of added and special tokens; without it special_tokens_map.json
 * and added_tokens.json are read, too.
 * @throws {CheckpointFormatError} when tokenizer.json is missing, or a file is not what its name
 *   says.
 */
export async function readTokenizerFiles(folder: ModelFolder): Promise<TokenizerFiles> {
  const { json, text } = await readJsonText(folder, TOKENIZER, tokenizerSchema);
  const vocabulary = readVocabulary(json, `${folder.name}/${TOKENIZER}`);
  const config = await folder.has(CONFIG)
    ? await readJson(folder, CONFIG, tokenizerConfigSchema)
    : {};
  const map = await folder.has(SPECIAL_TOKENS_MAP)
    ? await readJson(folder, SPECIAL_TOKENS_MAP, tokenizerConfigSchema)
    : {};
  const listed = await folder.has(ADDED_TOKENS)
    ? await readJson(folder, ADDED_TOKENS, addedTokensSchema)
    : {};
  const complete = "added_tokens_decoder" in config;
  const said = complete ? config : { ...config, ...map };
  const sources = { config: said, legacy: complete ? {} : listed };
  const added = addedTokens(json, vocabulary, sources, folder.name);
  const known = new Set(added.map(({ content }) => content));
  const unheard = (tokens: readonly (string | undefined)[], place: string) => {
    const texts = tokens.filter((token) => token !== undefined && !known.has(token));
    return texts.length === 0 ? [] : [passedOver(texts as readonly string[], place)];
  };
  const { extra_special_tokens: extra, additional_special_tokens: additional } = said;
  const superseded = Array.isArray(extra) && extra.length > 0 ? additional ?? [] : [];
  return {
    text,
    json: { ...json, added_tokens: added.map(({ file: _, ...token }) => token) },
    config: said,
    vocabulary,
    added,
    templateIds: readTemplateIds(json.post_processor, `${folder.name}/${TOKENIZER}`),
    notes: [
      ...unheard(complete ? Object.keys(listed) : [], ADDED_TOKENS),
      ...unheard(
        complete ? SPECIAL_TOKENS.map((key) => tokenText(map[key])) : [],
        SPECIAL_TOKENS_MAP,
      ),
      ...unheard(superseded.map(tokenText), `additional_special_tokens of ${CONFIG}`),
    ],
  };
}

function passedOver(tokens: readonly string[], place: string): string {
  const names = [...new Set(tokens)].map(quoted);
  const more = names.length > 1 ? ` and ${names.length - 1} more` : "";
  return `${names[0]}${more} of ${place}: passed over as a token, as transformers does`;
}
