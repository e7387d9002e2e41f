/** Texts and ids: tokenizer.json, the vocabularies of GGUF files, chat templates. */
export {
  additionalTemplates,
  readChatTemplates,
  TEMPLATE_FILE,
  TEMPLATE_FOLDER,
  TEMPLATE_JSON,
} from "./chat_templates.ts";
export { checkSpecialIds, checkTokens } from "./check.ts";
export { encodeLongText, tokensAround } from "./encode_pieces.ts";
export { TokenizerEngine } from "./engine.ts";
export { readTokenizerFiles, type TokenizerFiles } from "./files.ts";
export { ggufTemplates, hasNamedTemplates, TEMPLATE_KEY } from "./gguf/chat_templates.ts";
export { endTokens, llamaCppEnds, type NamedEnds } from "./gguf/end_tokens.ts";
export type { TokenizerMetadata } from "./gguf/token_table.ts";
export { MODEL_KEY, tokenizerFiles } from "./gguf/tokenizer.ts";
export { tokenizerEntries } from "./gguf/tokenizer_entries.ts";
export { BOS_RULES, type BosRule, textSequences } from "./sequences.ts";
export { openTokenizer, type Tokenizer } from "./tokenizer.ts";
