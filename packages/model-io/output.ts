import type { ByteSink } from "./byte_sink.ts";
import type { ModelFolder } from "./model_folder.ts";

/** Gives the sink of a file of a folder that is being written; what is written appears on commit only. */
export type OpenSink = (file: string) => Promise<ByteSink>;

/** Files that go along unchanged: the tokenizer's, and how to generate. */
const COMPANIONS = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "chat_template.jinja",
] as const;
const MAX_COMPANION_BYTES = 256 * 1024 * 1024;

/** Writes one file, whole or not at all. */
export async function writeFile(
  open: OpenSink,
  file: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const sink = await open(file);
  try {
    await fill(sink);
    await sink.commit();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Writes a text file in UTF-8, whole or not at all. */
export function writeText(open: OpenSink, file: string, text: string): Promise<void> {
  return writeFile(open, file, (sink) => sink.write(new TextEncoder().encode(text)));
}

/** Writes JSON as people read it, whole or not at all. */
export function writeJson(open: OpenSink, file: string, value: unknown): Promise<void> {
  return writeText(open, file, JSON.stringify(value, null, 2) + "\n");
}

/** Copies the files that belong to a model beside its config and weights; returns their names. */
export async function copyCompanions(
  folder: ModelFolder,
  open: OpenSink,
): Promise<readonly string[]> {
  const copied: string[] = [];
  for (const file of COMPANIONS) {
    if (!await folder.has(file)) continue;
    const bytes = await folder.readBytes(file, MAX_COMPANION_BYTES);
    await writeFile(open, file, (sink) => sink.write(bytes));
    copied.push(file);
  }
  return copied;
}
