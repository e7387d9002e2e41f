import { quoted } from "./quoted.ts";
import { checkId } from "./vocabulary.ts";

/** Ids of the tokens that a post-processor puts around a text, by their names in it. */
export type TemplateIds = ReadonlyMap<string, readonly number[]>;

/** Processors that name a token by its text and its id. */
const PAIRS = ["cls", "sep"] as const;

/**
 * The ids that the post-processor of a tokenizer.json itself gives its special tokens; those count,
 * not the vocabulary's.
 * @throws {CheckpointFormatError} naming the first that is none.
 */
export function readTemplateIds(processor: unknown, file: string): TemplateIds {
  const found = new Map<string, readonly number[]>();
  const add = (name: string, ids: readonly unknown[]) => {
    for (const id of ids) checkId(id, `the token ${quoted(name)} of the post_processor`, file);
    found.set(name, ids as readonly number[]);
  };
  const visit = (part: unknown) => {
    if (typeof part !== "object" || part === null) return;
    const { special_tokens, processors } = part as Readonly<Record<string, unknown>>;
    if (typeof special_tokens === "object" && special_tokens !== null) {
      for (const [name, token] of Object.entries(special_tokens)) {
        add(name, Array.isArray(token?.ids) ? token.ids : [token?.ids]);
      }
    }
    for (const key of PAIRS) {
      const pair = (part as Readonly<Record<string, unknown>>)[key];
      if (Array.isArray(pair) && typeof pair[0] === "string") add(pair[0], pair.slice(1));
    }
    if (Array.isArray(processors)) processors.forEach(visit);
  };
  visit(processor);
  return found;
}
