import { describeIssue, parseStrictJson, seal, unseal } from "@lopper/core";
import type { z } from "zod";

/**
 * A kind of file that a run keeps: JSON with a checksum, which says what it is and of what form.
 */
export interface SealedFile<T> {
  /** What its `kind` says. */
  readonly kind: string;
  /** What its `schema` says; another number is another form. */
  readonly form: number;
  readonly schema: z.ZodType<T>;
  /** What a message calls it, e.g. "the record of a run of Lopper". */
  readonly called: string;
  /** What of another form this version does not do, and what to do instead. */
  readonly otherForm: string;
  /** What to do about a file that was changed; empty where nothing helps. */
  readonly changed: string;
  readonly Error: new (message: string, options?: ErrorOptions) => Error;
}

/**
 * Reads the text of such a file.
 * @param file what messages call the place.
 * @throws {SealedFile.Error} naming the file and what is wrong in it.
 */
export async function parseSealed<T>(sealed: SealedFile<T>, text: string, file: string) {
  const { kind, form, schema, Error: Refusal } = sealed;
  const json = strictJson(sealed, text, file);
  const head = (json ?? {}) as Record<string, unknown>;
  if (head.kind !== kind) throw new Refusal(`${file} is not ${sealed.called}`);
  if (head.schema !== form) {
    const found = typeof head.schema === "number" ? head.schema : "unknown";
    throw new Refusal(
      `${file} is of another version of Lopper (its form is ${found}, this one reads ${form}), ${sealed.otherForm}`,
    );
  }
  const opened = await unseal(json);
  if (!opened) {
    throw new Refusal(
      `${file} was changed since Lopper wrote it: its checksum does not fit${sealed.changed}`,
    );
  }
  const result = schema.safeParse(opened.value);
  if (result.success) return result.data;
  throw new Refusal(`${file}: ${describeIssue(result.error.issues)}`);
}

function strictJson({ Error: Refusal }: SealedFile<unknown>, text: string, file: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    throw new Refusal(`${file} is damaged: ${(error as Error).message}`, { cause: error });
  }
}

/** Lists with a line for each of their entries, which would fill a screen each otherwise. */
const ONE_LINE_EACH = new Set([
  "frontier",
  "swaps",
  "dense",
  "pruned",
  "tokens",
  "passages",
  "heldOutSamples",
  "layers",
]);

/**
 * The JSON text of such a file, with a checksum, as people read it: long lists have one line an
 * entry.
 */
export async function sealedText(value: object): Promise<string> {
  return indented(await seal(value), "", "") + "\n";
}

function indented(value: unknown, key: string, indent: string): string {
  const deeper = indent + "  ";
  if (Array.isArray(value)) {
    if (value.length === 0 || !ONE_LINE_EACH.has(key)) return JSON.stringify(value);
    const lines = value.map((entry) => deeper + JSON.stringify(entry));
    return `[\n${lines.join(",\n")}\n${indent}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const lines = Object.entries(value).filter(([, entry]) => entry !== undefined).map((
    [name, entry],
  ) => `${deeper}${JSON.stringify(name)}: ${indented(entry, name, deeper)}`);
  return lines.length === 0 ? "{}" : `{\n${lines.join(",\n")}\n${indent}}`;
}
