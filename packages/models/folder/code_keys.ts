import { CheckpointFormatError } from "@lopper/core";

/**
 * Keys by which transformers is told to run code of the folder that a JSON file lies in, or of a
 * repository. Lopper runs none, and what it writes asks nobody to.
 */
const CODE_KEYS: readonly string[] = [
  "auto_map",
  "custom_generate",
  "custom_pipelines",
  "trust_remote_code",
];

/** Files beside config.json that may name code. */
export const CODE_FILES: readonly string[] = ["generation_config.json", "tokenizer_config.json"];

/** Modules that Lopper itself writes. */
const OWN_MODULE = /^(configuration_lopper|modeling_lopper|configuration_decilm)\./;

/** Configs are nested three deep; what is nested without end would end the program. */
const MAX_DEPTH = 64;

/**
 * JSON without the keys that name code, however deep they lie; the same value where there are none.
 */
export function withoutCode<T>(json: T): T {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) {
    const items = json.map(withoutCode);
    return items.every((item, i) => item === json[i]) ? json : items as T;
  }
  const entries = Object.entries(json);
  const kept = entries.filter(([key]) => !CODE_KEYS.includes(key))
    .map(([key, value]) => [key, withoutCode(value)] as const);
  const same = kept.length === entries.length && kept.every(([, v], i) => v === entries[i][1]);
  return same ? json : Object.fromEntries(kept) as T;
}

/**
 * The keys of JSON that name code of somebody else than Lopper.
 * @throws {CheckpointFormatError} when it is nested deeper than any config.
 */
export function foreignCodeKeys(json: unknown, file: string): readonly string[] {
  const found = new Set<string>();
  const visit = (value: unknown, depth: number) => {
    if (typeof value !== "object" || value === null) return;
    if (depth > MAX_DEPTH) {
      throw new CheckpointFormatError(`it is nested more than ${MAX_DEPTH} deep`, { file });
    }
    for (const [key, inner] of Object.entries(value)) {
      if (Array.isArray(value) || !CODE_KEYS.includes(key)) visit(inner, depth + 1);
      else if (key !== "auto_map" || !isOwn(inner)) found.add(key);
    }
  };
  visit(json, 0);
  return [...found];
}

function isOwn(autoMap: unknown): boolean {
  if (typeof autoMap !== "object" || autoMap === null) return false;
  const names = Object.values(autoMap);
  return names.every((name) => typeof name === "string" && OWN_MODULE.test(name));
}
