import { z } from "zod";
import { checkJson, type ModelFolder, readJson, readText } from "@lopper/formats";

/** Where transformers keeps a template, and further ones by their names, since version 5. */
export const TEMPLATE_FILE = "chat_template.jinja";
export const TEMPLATE_FOLDER = "additional_chat_templates";
/** Where processors kept it. */
export const TEMPLATE_JSON = "chat_template.json";
const TOKENIZER_CONFIG = "tokenizer_config.json";
/** What a template is called that stands alone. */
export const DEFAULT_TEMPLATE = "default";

/** The longest in use have 30 kB. */
const MAX_TEMPLATE_BYTES = 1024 * 1024;

/** How a conversation becomes a text, by the name of the purpose. */
export interface ChatTemplate {
  readonly name: string;
  readonly template: string;
}

/** A text, a list of named ones, or these by their names; transformers takes all three. */
const templatesSchema = z.union([
  z.string().transform((template) => [{ name: DEFAULT_TEMPLATE, template }]),
  z.array(z.looseObject({ name: z.string(), template: z.string() })),
  z.record(z.string(), z.string()).transform((named) =>
    Object.entries(named).map(([name, template]) => ({ name, template }))
  ),
], "it needs to be a text, or texts with names");
const configSchema = z.looseObject({ chat_template: z.unknown().optional() });

/** The templates of a folder, and what of them is passed over. */
export interface ChatTemplates {
  readonly templates: readonly ChatTemplate[];
  readonly notes: readonly string[];
}

/**
 * The chat templates of a model folder, as transformers 5 finds them: files before what
 * tokenizer_config.json says. What only chat_template.json says counts as well, as for llama.cpp's
 * converter.
 * @throws {CheckpointFormatError} when one of the files is malformed.
 */
export async function readChatTemplates(folder: ModelFolder): Promise<ChatTemplates> {
  const places = [
    { place: TEMPLATE_FILE, templates: await templateFiles(folder) },
    { place: TOKENIZER_CONFIG, templates: await templatesOfJson(folder, TOKENIZER_CONFIG) },
    { place: TEMPLATE_JSON, templates: await templatesOfJson(folder, TEMPLATE_JSON) },
  ].filter(({ templates }) => templates.length > 0);
  const [first, ...others] = places;
  if (!first) return { templates: [], notes: [] };
  const differing = others.filter(({ templates }) =>
    JSON.stringify(templates) !== JSON.stringify(first.templates)
  );
  return {
    templates: first.templates,
    notes: differing.map(({ place }) =>
      `the chat template of ${place} is passed over: ${first.place} has another, which transformers takes`
    ),
  };
}

async function templateFiles(folder: ModelFolder): Promise<readonly ChatTemplate[]> {
  const templates: ChatTemplate[] = [];
  if (await folder.has(TEMPLATE_FILE)) {
    const template = await readText(folder, TEMPLATE_FILE, MAX_TEMPLATE_BYTES);
    templates.push({ name: DEFAULT_TEMPLATE, template });
  }
  const inner = folder.folder(TEMPLATE_FOLDER);
  for (const file of await additionalTemplates(folder)) {
    const template = await readText(inner, file, MAX_TEMPLATE_BYTES);
    templates.push({ name: file.replace(/\.jinja$/, ""), template });
  }
  return templates;
}

/** Files of the folder of further templates. */
export async function additionalTemplates(folder: ModelFolder): Promise<readonly string[]> {
  if (!(await folder.list()).includes(TEMPLATE_FOLDER)) return [];
  const inner = folder.folder(TEMPLATE_FOLDER);
  const files: string[] = [];
  for (const file of await inner.list()) {
    if (file.endsWith(".jinja") && await inner.has(file)) files.push(file);
  }
  return files.sort();
}

async function templatesOfJson(
  folder: ModelFolder,
  file: string,
): Promise<readonly ChatTemplate[]> {
  if (!await folder.has(file)) return [];
  const { chat_template } = await readJson(folder, file, configSchema);
  if (chat_template === undefined || chat_template === null) return [];
  const named = { chat_template: templatesSchema };
  return checkJson({ chat_template }, z.object(named), `${folder.name}/${file}`).chat_template;
}
