import {
  type Decoder,
  type Normalizer,
  PrecompiledNormalizer,
  type PreTokenizer,
  SequenceDecoder,
  SequenceNormalizer,
  SequencePreTokenizer,
  SplitPreTokenizer,
  StripNormalizer,
  Tokenizer,
} from "@huggingface/tokenizers";
import { AddedTokenSplitter } from "./added_token_splitter.ts";
import { fromBase64 } from "./base64.ts";
import type { AddedToken } from "./added_tokens.ts";
import { Charsmap } from "./charsmap.ts";
import { boundedParts } from "./parts.ts";
import { quoted } from "./quoted.ts";
import type { TokenizerConfig, TokenizerJson } from "./schemas.ts";
import type { TemplateIds } from "./template_ids.ts";
import { type SplitBehavior, splitPieces } from "./split_pieces.ts";

/** A step may make a text this many times as long (NFKD: 18), and so much longer besides. */
const MAX_GROWTH = 20;
const MAX_ADDED = 4096;
/** Characters of a decoded text at most. */
const MAX_DECODED = 64 * 1024 * 1024;
/** Stands for a text's own tokens where special ones are put around them. */
const OWN = "\u0000";
/** Milliseconds a character that patterns may take beside the limit, and that merging may. */
const PATTERN_MS = 0.002, MERGE_MS = 0.05;
/** Characters with which a step is announced. */
const LONG = 10_000;

export interface EngineFiles {
  /**
   * tokenizer.json: an object of so many tokens takes a thread longer to hand over than another to
   * read.
   */
  readonly text: string;
  readonly config: TokenizerConfig;
  readonly added: readonly AddedToken[];
  readonly templateIds: TemplateIds;
}

/**
 * A tokenizer in this thread: the steps of tokenizer.json around the library's model. What it takes
 * of memory is bounded by the text; what it takes of time is not, since patterns are JavaScript's,
 * which may look for an end for ever.
 */
export class TokenizerEngine {
  readonly #library: Tokenizer;
  readonly #normalizers: readonly Normalizer[];
  /** What the library replaces by rules of its own. */
  readonly #charsmaps: ReadonlyMap<Normalizer, Charsmap>;
  readonly #preTokenizers: readonly PreTokenizer[] | null;
  readonly #plain: AddedTokenSplitter;
  readonly #normalized: AddedTokenSplitter;
  /** Ids before and behind the text's own, which null stands for. */
  readonly #around: Readonly<Record<"with" | "without", readonly (number | null)[]>>;
  /** Where nothing merges across; null where something may. */
  readonly #cuts: RegExp | null;
  readonly #announce: (milliseconds: number) => void;

  /**
   * @param announce hears before a long step how many milliseconds more than others it may take.
   * @throws {Error} when the files make no tokenizer; the message says why.
   */
  constructor(
    { text, config, added, templateIds }: EngineFiles,
    announce: (milliseconds: number) => void,
  ) {
    this.#announce = announce;
    const json: TokenizerJson = JSON.parse(text);
    // Added tokens are found here, before the library sees a text; it needs them to decode.
    const added_tokens = added.map((token) => ({ ...token, normalized: false }));
    const library = new Tokenizer({ ...boundedParts(json), added_tokens }, {
      clean_up_tokenization_spaces: config.clean_up_tokenization_spaces,
      // Where a model of words looks for it; others have their own.
      unk_token: json.model.unk_token,
    });
    this.#library = library;
    // The model itself makes none of them of a text.
    const { tokens_to_ids } = library.model!;
    const ids = new Map(added.map(({ content, id }) => [content, id]));
    const { vocab } = json.model;
    const own = Array.isArray(vocab) ? new Set(vocab.map(([token]) => token)) : null;
    for (const content of ids.keys()) {
      if (!own?.has(content) && !Object.hasOwn(vocab as object, content)) {
        tokens_to_ids.delete(content);
      }
    }
    this.#cuts = cutsBetweenWords(json);
    this.#normalizers = normalizerSteps(library.normalizer);
    this.#charsmaps = new Map(this.#normalizers.flatMap((step) => {
      const { precompiled_charsmap: map } = step.config as { precompiled_charsmap?: unknown };
      const own = step instanceof PrecompiledNormalizer && typeof map === "string";
      return own ? [[step, new Charsmap(fromBase64(map))] as const] : [];
    }));
    this.#preTokenizers = library.pre_tokenizer && preTokenizerSteps(library.pre_tokenizer);
    // Of two tokens with one text the special one is found.
    const order = [...added.filter((t) => t.special), ...added.filter((t) => !t.special)];
    this.#plain = new AddedTokenSplitter(
      order.filter((t) => !t.normalized).map((t) => [t.content, t]),
    );
    this.#normalized = new AddedTokenSplitter(
      order.filter((t) => t.normalized).map((t) => [this.#normalizedContent(t), t]),
    );
    this.#around = {
      with: this.#surroundings(templateIds, ids, true),
      without: this.#surroundings(templateIds, ids, false),
    };
    if (library.decoder) library.decoder = boundedDecoder(library.decoder);
  }

  encode(text: string, addSpecialTokens: boolean): number[] {
    const own: number[] = [];
    this.#plain.split(text).forEach((section, i) => {
      if (typeof section === "number") own.push(section);
      else this.#encodeSection(section, i, own);
    });
    const around = this.#around[addSpecialTokens ? "with" : "without"];
    return around.length === 1 ? own : around.flatMap((id) => id === null ? own : [id]);
  }

  decode(ids: readonly number[]): string {
    if (ids.length === 0) return "";
    const { vocab } = this.#library.model!;
    const length = ids.reduce((sum, id) => sum + (vocab[id]?.length ?? 0), 0);
    if (length > MAX_DECODED) throw new RangeError(`${length} characters are too many to decode`);
    return this.#library.decode([...ids], { skip_special_tokens: true });
  }

  #encodeSection(text: string, section: number, ids: number[]) {
    const { length } = text;
    if (length > LONG) this.#announce(length * PATTERN_MS);
    const normalized = this.#normalize(text);
    this.#normalized.split(normalized).forEach((part, i) => {
      if (typeof part === "number") {
        ids.push(part);
        return;
      }
      const pieces = this.#pieces(part, section + i);
      if (length > LONG) this.#announce(length * MERGE_MS);
      for (const token of this.#merge(pieces)) ids.push(this.#idOf(token));
    });
  }

  #normalize(text: string): string {
    return this.#normalizers.reduce((before, step) => {
      // Nothing is put before nothing, where a step before left that.
      if (before === "") return before;
      const map = this.#charsmaps.get(step);
      const after = step instanceof StripNormalizer
        ? strip(step, before)
        : (map ?? step).normalize(before);
      checkGrowth(after.length, text.length, "its normalizer");
      return after;
    }, text);
  }

  /**
   * @param section place among the sections of a text, of which some steps treat the first apart.
   */
  #pieces(text: string, section: number): string[] {
    return (this.#preTokenizers ?? []).reduce((before, step) => {
      const after = step instanceof SplitPreTokenizer
        ? before.flatMap((piece) => splitBy(step, piece))
        : before.flatMap((piece, i) => step.pre_tokenize(piece, { section_index: section + i }));
      const length = after.reduce((sum, piece) => sum + piece.length, 0);
      checkGrowth(length, text.length, "its pre_tokenizer");
      return after;
    }, [text]).flatMap((piece) => this.#cuts ? piece.split(this.#cuts) : [piece]);
  }

  #merge(pieces: string[]): readonly string[] {
    try {
      return this.#library.model!(pieces);
    } catch (error) {
      // The library passes all tokens of a piece as arguments, which end where V8's stack does.
      if (!(error instanceof RangeError)) throw error;
      const longest = pieces.reduce((most, { length }) => Math.max(most, length), 0);
      throw new RangeError(`its model takes no ${longest} characters that nothing cuts`);
    }
  }

  #idOf(token: string): number {
    const { tokens_to_ids, unk_token_id } = this.#library.model!;
    const id = tokens_to_ids.get(token) ?? unk_token_id;
    if (id !== undefined) return id;
    throw new RangeError(`it has no token for ${quoted(token)}, and none for what is unknown`);
  }

  #normalizedContent(token: AddedToken): string {
    const content = this.#normalize(token.content);
    if (content !== "") return content;
    throw new RangeError(
      `of the added token ${quoted(token.content)} its normalizer leaves nothing`,
    );
  }

  /** The special tokens that stand around a text's own. */
  #surroundings(
    ids: TemplateIds,
    added: ReadonlyMap<string, number>,
    addSpecialTokens: boolean,
  ): readonly (number | null)[] {
    const { post_processor } = this.#library;
    if (!post_processor) return [null];
    const { tokens } = post_processor([OWN], null, addSpecialTokens);
    return tokens.flatMap((token): readonly (number | null)[] =>
      token === OWN ? [null] : ids.get(token) ?? [added.get(token) ?? this.#idOf(token)]
    );
  }
}

/**
 * A text that is one piece to its BPE (as Llama 2's, whose spaces are "▁") takes far more memory
 * and time than its words. Where no merge has the end of a word and the beginning of the next in
 * it, they can be merged one by one.
 */
function cutsBetweenWords({ model }: TokenizerJson): RegExp | null {
  const { type, merges, ignore_merges } = model;
  if (ignore_merges || !Array.isArray(merges) || (type ?? "BPE") !== "BPE") return null;
  const merged = merges.map((pair) =>
    Array.isArray(pair) ? pair.join("") : String(pair).replace(" ", "")
  );
  const words = merged.some((token) => token.includes("▁"));
  return words && !merged.some((token) => /[^▁]▁/u.test(token)) ? /(?<=[^▁])(?=▁)/u : null;
}

function normalizerSteps(step: Normalizer | null): readonly Normalizer[] {
  if (step === null) return [];
  return step instanceof SequenceNormalizer ? step.normalizers.flatMap(normalizerSteps) : [step];
}

const WHITE_SPACE = /\p{White_Space}/u;

/** What JavaScript trims is not what Unicode calls white space. */
function strip({ config }: StripNormalizer, text: string): string {
  const { strip_left, strip_right } = config as { strip_left?: boolean; strip_right?: boolean };
  let [start, end] = [0, text.length];
  while (strip_left && start < end && WHITE_SPACE.test(text[start])) start += 1;
  while (strip_right && start < end && WHITE_SPACE.test(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function preTokenizerSteps(step: PreTokenizer | null): readonly PreTokenizer[] {
  if (step === null) return [];
  return step instanceof SequencePreTokenizer ? step.tokenizers.flatMap(preTokenizerSteps) : [step];
}

function decoderSteps(step: Decoder): readonly Decoder[] {
  return step instanceof SequenceDecoder ? step.decoders.flatMap(decoderSteps) : [step];
}

const BEHAVIORS: Readonly<Record<string, SplitBehavior>> = {
  removed: "Removed",
  isolated: "Isolated",
  mergedwithprevious: "MergedWithPrevious",
  mergedwithnext: "MergedWithNext",
  contiguous: "Contiguous",
};

function splitBy({ pattern, config }: SplitPreTokenizer, text: string): readonly string[] {
  const behavior = BEHAVIORS[String(config.behavior).toLowerCase()];
  if (!pattern) throw new RangeError("a Split of its pre_tokenizer has no pattern");
  if (!behavior) {
    throw new RangeError(
      `a Split of its pre_tokenizer has the behavior ${quoted(config.behavior)}`,
    );
  }
  return splitPieces(text, pattern, { behavior, invert: config.invert ?? false });
}

/** A decoder that stops where a step makes a text far longer. */
function boundedDecoder(decoder: Decoder): Decoder {
  const steps = decoderSteps(decoder);
  const decode = (tokens: string[]) => {
    const given = tokens.reduce((sum, token) => sum + token.length + 1, 0);
    return steps.reduce((before, step) => {
      const after = step.decode_chain(before);
      const length = after.reduce((sum, token) => sum + token.length, 0);
      checkGrowth(length, given, "its decoder");
      return after;
    }, tokens).join("");
  };
  return Object.assign(decode, { end_of_word_suffix: decoder.end_of_word_suffix }) as Decoder;
}

function checkGrowth(length: number, given: number, what: string) {
  if (length <= given * MAX_GROWTH + MAX_ADDED) return;
  throw new RangeError(`${what} makes ${length} characters of ${given}`);
}
