/** A number from 0 up to 1 that text and seed decide. */
export function hash(seed: number, text: string): number {
  let hash = seed;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return (hash >>> 0) / 2 ** 32;
}
