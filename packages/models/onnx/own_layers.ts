type Json = Readonly<Record<string, unknown>>;

/**
 * What config.json beside a graph has under this key counts for Lopper in place of the keys that
 * transformers.js reads: it knows of no layers that have no cache, and wants one size for all.
 */
const KEY = "lopper_config";

/**
 * A config for transformers.js that says to Lopper what the model's own config says otherwise; a
 * key that this has not is null there.
 */
export function withOwnLayers(readByOthers: Json, own: Json): Record<string, unknown> {
  const differs = (key: string) => JSON.stringify(own[key]) !== JSON.stringify(readByOthers[key]);
  const keys = [...new Set([...Object.keys(own), ...Object.keys(readByOthers)])].filter(differs);
  if (keys.length === 0) return { ...readByOthers };
  return { ...readByOthers, [KEY]: Object.fromEntries(keys.map((key) => [key, own[key] ?? null])) };
}

/** The model's own config, where there is one of the kind that `withOwnLayers` makes; else null. */
export function ownLayersOf({ [KEY]: own, ...config }: Json): Json | null {
  if (typeof own !== "object" || own === null || Array.isArray(own)) return null;
  const left = Object.entries({ ...config, ...own }).filter(([key, value]) =>
    value !== null || !(key in own)
  );
  return Object.fromEntries(left);
}
