import assert from "node:assert/strict";
import { CALIBRATION_TEXTS } from "./mod.ts";

const MIN_BYTES = 70_000, MAX_BYTES = 90_000;

Deno.test("calibration texts: as much of each kind, in passages that differ", async (t) => {
  for (const [kind, url] of Object.entries(CALIBRATION_TEXTS)) {
    await t.step(kind, async () => {
      const file = await Deno.readTextFile(url);
      assert.ok(file.length > MIN_BYTES && file.length < MAX_BYTES, String(file.length));
      const passages = file.trimEnd().split("\n")
        .map((line) => (JSON.parse(line) as { text: string }).text);
      assert.equal(new Set(passages).size, passages.length);
      for (const passage of passages) assert.match(passage, /\S+\s+\S+/);
      // What markup leaves behind would be learnt from.
      if (kind === "code") return;
      for (const passage of passages) {
        assert.doesNotMatch(passage, /<\/?(?:p|br|em|strong)>|&\w+;|]\(/);
      }
    });
  }
});

Deno.test("calibration texts: every file is in the list, and every source is named", async () => {
  const data = new URL("data/", import.meta.url);
  const files = [...Deno.readDirSync(data)].map(({ name }) => name)
    .filter((name) => name !== "README.md").sort();
  const listed = Object.values(CALIBRATION_TEXTS).map(({ pathname }) => pathname.split("/").at(-1));
  assert.deepEqual(listed.sort(), files);
  const readme = await Deno.readTextFile(new URL("README.md", data));
  for (const file of files) assert.ok(readme.includes(`\`${file}\` `), file);
});
