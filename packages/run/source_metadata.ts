import { type CardMetadata, metadataOf, readCardMetadata } from "@lopper/card";
import { LopperError } from "@lopper/core";
import type { ModelFolder } from "@lopper/formats";
import { GgufFolder } from "@lopper/models";

/** How GGUF files say what cards say (gguf-py, `Keys.General`). */
const GGUF_KEYS: Readonly<Record<string, keyof CardMetadata>> = {
  "general.license": "license",
  "general.license.name": "license_name",
  "general.license.link": "license_link",
  "general.languages": "language",
};

/**
 * What a model says of itself to programs, in its card or in its GGUF file; null where it says
 * nothing that can be read.
 */
export async function sourceMetadata(folder: ModelFolder): Promise<CardMetadata | null> {
  if (!(folder instanceof GgufFolder)) return await readCardMetadata(folder);
  try {
    const said = (await folder.originEntries()).flatMap((entry) => {
      const key = GGUF_KEYS[entry.key];
      return key === undefined ? [] : [[key, "values" in entry ? entry.values : entry.value]];
    });
    return said.length === 0 ? null : metadataOf(Object.fromEntries(said));
  } catch (error) {
    if (error instanceof LopperError) return null;
    throw error;
  }
}
