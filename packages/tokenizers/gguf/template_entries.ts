import { type ChatTemplate, DEFAULT_TEMPLATE } from "../chat_templates.ts";
import type { MetadataEntry } from "@lopper/formats";
import { TEMPLATE_KEY, TEMPLATE_NAMES_KEY } from "./chat_templates.ts";
import type { Refuse } from "./token_table.ts";

/**
 * Chat templates as gguf-py writes them (`add_chat_template`): the one that is meant when none is
 * named, each other one behind its name, in which only letters and digits of ASCII stay, and a list
 * of these names.
 */
export function templateEntries(
  templates: readonly ChatTemplate[],
  refuse: Refuse,
): readonly MetadataEntry[] {
  const plain = templates.findLast(({ name }) => name === DEFAULT_TEMPLATE);
  const named = new Map<string, ChatTemplate>();
  for (const template of templates) {
    if (template.name === DEFAULT_TEMPLATE) continue;
    const name = template.name.replace(/[^a-zA-Z0-9]/g, "_");
    const other = named.get(name)?.name ?? (name === "" || name === DEFAULT_TEMPLATE ? "" : null);
    if (other !== null) {
      refuse(`its chat template ${JSON.stringify(template.name)} would be named like another`);
    }
    named.set(name, template);
  }
  const text = (key: string, value: string): MetadataEntry => ({ key, type: "string", value });
  return [
    ...[...named].map(([name, { template }]) => text(`${TEMPLATE_KEY}.${name}`, template)),
    ...(named.size === 0 ? [] : [
      {
        key: TEMPLATE_NAMES_KEY,
        type: "array",
        elementType: "string",
        values: [...named.keys()],
      } as const,
    ]),
    ...(plain ? [text(TEMPLATE_KEY, plain.template)] : []),
  ];
}
