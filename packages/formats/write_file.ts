import type { ByteSink } from "./byte_sink.ts";

/**
 * Gives the sink of a file of a folder that is being written; what is written appears on commit
 * only.
 */
export type OpenSink = (file: string) => Promise<ByteSink>;

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
