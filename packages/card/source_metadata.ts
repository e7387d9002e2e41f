import { LopperError } from "@lopper/core";
import type { ModelFolder } from "@lopper/formats";
import { parseDocument } from "yaml";
import { z } from "zod";

/** The card of a model, where the hub looks for it. */
export const CARD_FILE = "README.md";
/** The hub shows no longer ones, either. */
const MAX_CARD_BYTES = 4 * 1024 * 1024;
/** Longer ones are no metadata. */
const MAX_METADATA = 100_000;
const FRONT_MATTER = /^\ufeff?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;

/** Names on the hub, of models and data sets. */
export const HUB_ID = /^[A-Za-z0-9][\w.-]{0,95}(?:\/[\w.-]{1,96})?$/;

/** A value, or a list of them, of which only those count that are in form. */
const listOf = (item: z.ZodType<string>) =>
  z.preprocess(
    (value) => Array.isArray(value) ? value : value === undefined || value === null ? [] : [value],
    z.array(z.unknown()).max(1000).transform((values) =>
      values.flatMap((value) => item.safeParse(value).data ?? [])
    ),
  ).catch([]);
const short = z.string().trim().min(1).max(200);

const metadataSchema = z.looseObject({
  license: listOf(short.regex(/^[a-z0-9][a-z0-9.+-]*$/i)),
  license_name: short.optional().catch(undefined),
  license_link: short.optional().catch(undefined),
  language: listOf(short.regex(/^[a-z]{2,3}(-[a-z0-9]{1,8})*$|^code$|^multilingual$/i)),
  datasets: listOf(short.regex(HUB_ID)),
  base_model: listOf(short.regex(HUB_ID)),
  tags: listOf(short),
});

/**
 * What the card of a model says to programs, as far as the card of one that is made of it says the
 * same.
 */
export type CardMetadata = Readonly<z.infer<typeof metadataSchema>>;

/**
 * What the card of a model says to programs; null where it has none, or none that can be read: that
 * is no reason to lose the result of a run.
 */
export async function readCardMetadata(folder: ModelFolder): Promise<CardMetadata | null> {
  if (!await folder.has(CARD_FILE)) return null;
  try {
    const bytes = await folder.readBytes(CARD_FILE, MAX_CARD_BYTES);
    return cardMetadata(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof LopperError) return null;
    throw error;
  }
}

/** What stands before the text of a card; null for anything else. */
export function cardMetadata(card: string): CardMetadata | null {
  const [, text = ""] = FRONT_MATTER.exec(card) ?? [];
  if (text === "" || text.length > MAX_METADATA) return null;
  const document = parseDocument(text, { logLevel: "silent" });
  if (document.errors.length > 0) return null;
  return metadataOf(valueOf(document));
}

/** What of some values is metadata; null where they are none by their form. */
export function metadataOf(values: unknown): CardMetadata | null {
  return metadataSchema.safeParse(values).data ?? null;
}

/** Aliases that stand for more than a card could hold are refused by the library. */
function valueOf(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    return null;
  }
}
