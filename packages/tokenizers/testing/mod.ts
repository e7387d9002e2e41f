export { checkTokenizer } from "./gguf_tokenizer_cases.ts";
