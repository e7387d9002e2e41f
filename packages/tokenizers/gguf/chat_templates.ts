import { type ChatTemplate, DEFAULT_TEMPLATE } from "../chat_templates.ts";
import type { GgufMetadata } from "@lopper/formats";

/** Where a file has the template that is meant when none is named. */
export const TEMPLATE_KEY = "tokenizer.chat_template";
/** Names of the others; each is behind `tokenizer.chat_template.` */
export const TEMPLATE_NAMES_KEY = "tokenizer.chat_templates";
const NAMED = `${TEMPLATE_KEY}.`;

/** Whether a file has templates besides the one that is meant when none is named. */
export function hasNamedTemplates(metadata: GgufMetadata): boolean {
  return metadata.keys().some((key) => key.startsWith(NAMED));
}

/** The chat templates of a file. @throws {CheckpointFormatError} when one is no text. */
export async function ggufTemplates(metadata: GgufMetadata): Promise<readonly ChatTemplate[]> {
  const keys = metadata.keys().filter((key) => key.startsWith(NAMED));
  const templates: ChatTemplate[] = [];
  for (const key of [TEMPLATE_KEY, ...keys]) {
    const template = await metadata.text(key);
    const name = key === TEMPLATE_KEY ? DEFAULT_TEMPLATE : key.slice(NAMED.length);
    if (template !== undefined) templates.push({ name, template });
  }
  return templates;
}
