import assert from "node:assert/strict";

/** Of packages that know how to run a model, what only reckons. */
const ARITHMETIC = new Set(["perplexity", "shuffled", "tokenCount", "ACTIVATION_METRICS"]);

/** What a file imports to use, not only as a type, from packages that run models; and the adapter, wherever it is named. */
function modelsIn(source: string): string[] {
  const imports = source.matchAll(/^(?:import|export) (?!type )([^;]*?) from "([^"]+)";/gm);
  return [...imports].flatMap(([, names, from]) => {
    if (from.endsWith("/activation_arranger.ts")) return [from];
    if (!/^@lopper\/(runtime|backends|graphs|algebra|importance)$/.test(from)) return [];
    return names.replace(/[{}]/g, "").split(",").map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type ") && !ARITHMETIC.has(name));
  });
}

/** Sources of the package, without its tests and their helpers. */
function* sourcesOf(folder: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory && name !== "testing") yield* sourcesOf(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield new URL(name, folder);
  }
}

Deno.test("search: no file runs a model, but for the arranger that is handed in", () => {
  const here = new URL("./", import.meta.url);
  const found = [...sourcesOf(here)].filter((file) =>
    modelsIn(Deno.readTextFileSync(file)).length > 0
  ).map(({ href }) => href.slice(here.href.length));
  assert.deepEqual(found.sort(), ["activation_arranger.ts", "mod.ts"]);
  assert.deepEqual(modelsIn('import { Decoder, type X } from "@lopper/runtime";'), ["Decoder"]);
  assert.deepEqual(modelsIn('import type { Decoder } from "@lopper/runtime";'), []);
});
