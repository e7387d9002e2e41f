import assert from "node:assert/strict";
import { join } from "node:path";
import { stageNative } from "./engine_files.ts";
import { moduleGraph } from "./module_graph.ts";
import { ROOT } from "./root.ts";
import { TARGETS } from "./targets.ts";

Deno.test("release: for each system the native engine comes with what it loads, where there is one", async () => {
  const { packages } = await moduleGraph(join(ROOT, "packages/backends/mod.ts"));
  const without: string[] = [];
  for (const [target, system] of Object.entries(TARGETS)) {
    const stage = await Deno.makeTempDir({ prefix: "lopper-test-" });
    try {
      const engine = await stageNative(packages, system, stage);
      if (engine === null) {
        without.push(target);
        continue;
      }
      const names = engine.files.map(({ name }) => name);
      const binding = names.find((name) => name.endsWith(".node"))!;
      const text = new TextDecoder("latin1").decode(
        await Deno.readFile(join(stage, engine.folder, binding)),
      );
      const loaded = /(?:lib)?onnxruntime\.(?:so|dll|[\d.]*dylib)[.\d]*/.exec(text)?.[0];
      assert.ok(loaded !== undefined && names.includes(loaded), `${target}: ${loaded} of ${names}`);
      const libraries = names.filter((name) => /onnxruntime\.[\w.]*(?:so|dll|dylib)/.test(name));
      assert.ok(libraries.length <= 1, `${target}: ${libraries}`);
    } finally {
      await Deno.remove(stage, { recursive: true });
    }
  }
  assert.deepEqual(without, ["x86_64-apple-darwin"]);
});
