import { FileSink } from "./file_sink.ts";

/** Writes a text file whole or not at all, also through a power cut. */
export async function writeTextFileAtomically(path: string, text: string): Promise<void> {
  const sink = await FileSink.open(path);
  try {
    await sink.write(new TextEncoder().encode(text));
    await sink.commit();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
