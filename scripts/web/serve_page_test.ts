import assert from "node:assert/strict";
import { HEADERS } from "../../apps/web/policy.ts";
import { answer } from "./serve_page.ts";

Deno.test("page: files of its folder are served with its headers, and nothing else is", async () => {
  const place = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    const folder = `${place}/page`;
    await Deno.mkdir(`${folder}/data`, { recursive: true });
    await Deno.writeTextFile(`${place}/secret`, "secret");
    await Deno.writeTextFile(`${folder}/index.html`, "page");
    await Deno.writeTextFile(`${folder}/data/a.json`, "{}");
    const ask = (path: string) => answer(folder, new Request(`http://localhost${path}`));
    for (
      const [path, text, type] of [
        ["/", "page", "text/html; charset=utf-8"],
        ["/data/a.json?x", "{}", "application/json"],
      ]
    ) {
      const answered = await ask(path);
      assert.equal(await answered.text(), text);
      assert.equal(answered.headers.get("Content-Type"), type);
      for (const [name, value] of Object.entries(HEADERS)) {
        assert.equal(answered.headers.get(name), value);
      }
    }
    for (const path of ["/nothing", "/data", "/..%2fsecret", "/%00", "/%ff"]) {
      assert.equal((await ask(path)).status, 404, path);
    }
  } finally {
    await Deno.remove(place, { recursive: true });
  }
});
