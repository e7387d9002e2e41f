import { listed } from "../folder/folder_files.ts";
import type { GgufMetadata } from "@lopper/formats";

/** What is read of a tokenizer, or goes along without being read. */
const TOKENIZER_KEYS =
  /^tokenizer\.(chat_templates?$|chat_template\.|ggml\.(model|pre|tokens|token_type|scores|merges|add_(bos|eos)_token|add_space_prefix|remove_extra_whitespaces|precompiled_charsmap|[a-z_]+_token_id)$)/;
/**
 * What says nothing of what is computed: names and origins, how a file was split, and what it was
 * quantised with.
 */
const SILENT = /^(general|split|quantize)\./;

/** What of a file's metadata is passed over; the architecture's own keys are read, or refused. */
export function metadataNotes(metadata: GgufMetadata, architecture: string): readonly string[] {
  const over = metadata.keys().filter((key) => {
    if (key.startsWith(`${architecture}.`) || SILENT.test(key)) return false;
    if (TOKENIZER_KEYS.test(key)) return false;
    const value = metadata.get(key)!;
    // That there is no such thing is nothing to speak of.
    return !("value" in value) || (value.value !== false && value.value !== 0);
  });
  if (over.length === 0) return [];
  return [`${listed(over)}: passed over, since Lopper knows no such metadata`];
}
