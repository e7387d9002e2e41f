import assert from "node:assert/strict";
import { referencesOf } from "./module_references.ts";

const of = (source: string) => referencesOf("/src/a/module.ts", source);

Deno.test("references: threads by their sources, files and folders by their place", () => {
  const found = of(`
    const worker = new URL(
      import.meta.url.endsWith(".ts") ? "../b/some_worker.ts" : "./some_worker.js",
      import.meta.url,
    );
    const data = new URL("./data/model/", import.meta.url);
    const folder = new URL("../bin/", import.meta.resolve("a-package"));
    if (import.meta.main) start();
  `);
  assert.deepEqual(found, { modules: ["/src/b/some_worker.ts"], files: ["./data/model/"] });
  assert.deepEqual(of("const a = 1;"), { modules: [], files: [] });
});

Deno.test("references: a bundled name that is not the source's is a file that has to be there", () => {
  const { modules, files } = of(`new URL(isSource ? "./one.ts" : "./other.js", import.meta.url)`);
  assert.deepEqual([modules, files], [["/src/a/one.ts"], ["./other.js"]]);
});

Deno.test("references: what cannot be followed is refused, with its line", () => {
  for (
    const use of [
      "import.meta.dirname",
      "import.meta.resolve('./beside.ts')",
      "import.meta.resolve(name)",
      "new URL(name, import.meta.url)",
      "new URL(`./${name}`, import.meta.url)",
      'new URL(isSource ? "./one.ts" : name, import.meta.url)',
      "fileURLToPath(import.meta.url)",
      "const meta = import.meta",
    ]
  ) {
    assert.throws(() => of(`\n${use};`), /^Error: \/src\/a\/module\.ts:2: uses its own place/, use);
  }
});
