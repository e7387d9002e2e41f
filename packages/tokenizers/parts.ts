import type { TokenizerJson } from "./schemas.ts";
import { withSplits } from "./pre_tokenizers.ts";

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

/** Parts of tokenizer.json that change or cut text, beside the model. */
const PARTS = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;
/** Most steps of one part; the longest in use have a dozen. */
const MAX_STEPS = 64;
/**
 * Longest text that a step puts into a text; "▁" in most. With more, a short text could fill the
 * memory.
 */
const MAX_INSERTED = 64;
/** Longest pattern; those in use have 4000 characters at most. */
const MAX_PATTERN = 64 * 1024;
/** Keys whose values are patterns, or not used at all. */
const PATTERNS = new Set(["Regex", "String", "precompiled_charsmap"]);

/**
 * The parts of a tokenizer.json as the library needs them: everything that it may lack is there,
 * contents that replace something are taken literally, and text is cut as `withSplits` says.
 * @throws {RangeError} when a part would make a text far longer, or never come to an end.
 */
export function boundedParts(json: TokenizerJson): JsonObject {
  const parts = Object.fromEntries(PARTS.map((name) => {
    const part = json[name] ?? null;
    checkPart(name, part);
    const whole = prepared(part);
    if (name === "decoder") return [name, withSpacesKept(whole)];
    return [name, name === "pre_tokenizer" ? withSplits(whole) : whole];
  }));
  for (const [key, value] of Object.entries(json.model)) {
    if (typeof value === "string") checkInserted(`model.${key}`, value);
  }
  checkPrefixes(json.model.vocab);
  return { ...json, ...parts };
}

/** The library's Metaspace decodes no space at the beginning, where one that adds none does. */
function withSpacesKept(part: Json): Json {
  if (typeof part !== "object" || part === null) return part;
  const { type, decoders, prepend_scheme, replacement = "▁", ...rest } = part as JsonObject;
  if (type === "Sequence" && Array.isArray(decoders)) {
    return { ...rest, type, decoders: decoders.map(withSpacesKept) };
  }
  return type === "Metaspace" && prepend_scheme === "never"
    ? { type: "Replace", pattern: { String: replacement }, content: " " }
    : part;
}

function checkPart(name: string, part: Json) {
  let steps = 0;
  const visit = (value: Json, place: string) => {
    if (typeof value === "string") {
      if (!PATTERNS.has(place.split(".").at(-1)!)) checkInserted(place, value);
      else if (value.length > MAX_PATTERN && !place.endsWith("precompiled_charsmap")) {
        throw new RangeError(
          `${place} has ${value.length} characters, and at most ${MAX_PATTERN} are expected`,
        );
      }
    } else if (typeof value === "object" && value !== null) {
      steps += 1;
      if (steps > MAX_STEPS * 8) {
        throw new RangeError(`${name} has more parts than any tokenizer has (${MAX_STEPS * 8})`);
      }
      const { type, length } = value as { type?: Json; length?: Json };
      if (type === "FixedLength" && !(Number.isInteger(length) && (length as number) > 0)) {
        throw new RangeError(
          `${place}.length is ${JSON.stringify(length)}, and pieces have one at least`,
        );
      }
      for (const [key, inner] of Object.entries(value)) visit(inner, `${place}.${key}`);
    }
  };
  visit(part, name);
}

function checkInserted(place: string, value: string) {
  if (value.length <= MAX_INSERTED) return;
  throw new RangeError(
    `${place} has ${value.length} characters, and at most ${MAX_INSERTED} are expected`,
  );
}

/** The library replaces as JavaScript does, for which a dollar sign is more than itself. */
function prepared(part: Json): Json {
  if (Array.isArray(part)) return part.map(prepared);
  if (typeof part !== "object" || part === null) return part;
  const object: Record<string, Json> = Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, prepared(value)] as const),
  );
  const { type, content } = object;
  if (type !== "Replace" || typeof content !== "string") return object;
  return { ...object, content: content.replaceAll("$", "$$$$") };
}

/**
 * Tokens of a Unigram of which each begins with the one before; runs of spaces make chains of 64.
 */
const MAX_CHAIN = 512;

/** A Unigram looks at every token that begins at a character. */
function checkPrefixes(vocab: Json) {
  if (!Array.isArray(vocab)) return;
  const chain: string[] = [];
  for (const token of vocab.map(([token]) => token as string).sort()) {
    while (chain.length > 0 && !token.startsWith(chain.at(-1)!)) chain.pop();
    chain.push(token);
    if (chain.length > MAX_CHAIN) {
      throw new RangeError(`more than ${MAX_CHAIN} tokens of its vocabulary begin with each other`);
    }
  }
}
