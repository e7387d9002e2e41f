import { writeText } from "@lopper/formats";
import { FileSink } from "./file_sink.ts";

/** Writes a text file whole or not at all, also through a power cut. */
export async function writeTextFileAtomically(path: string, text: string): Promise<void> {
  await writeText((file) => FileSink.open(file), path, text);
}
