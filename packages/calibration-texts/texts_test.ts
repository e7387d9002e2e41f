import assert from "node:assert/strict";
import { CALIBRATION_TEXTS, HELD_OUT_TEXTS } from "./mod.ts";

/** Texts of each kind, and the bytes that they may have. */
const SETS = {
  "to calibrate on": { texts: CALIBRATION_TEXTS, bytes: [70_000, 90_000] },
  "held out": { texts: HELD_OUT_TEXTS, bytes: [7_000, 10_000] },
} as const;

for (const [what, { texts, bytes: [min, max] }] of Object.entries(SETS)) {
  Deno.test(`texts ${what}: as much of each kind, in passages that differ`, async (t) => {
    for (const [kind, url] of Object.entries(texts)) {
      await t.step(kind, async () => {
        const file = await Deno.readTextFile(url);
        assert.ok(file.length > min && file.length < max, String(file.length));
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

  Deno.test(`texts ${what}: every file is in the list, and every source is named`, async () => {
    const urls = Object.values(texts);
    const folder = new URL(".", urls[0]);
    const files = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile)
      .map(({ name }) => name).filter((name) => name !== "README.md").sort();
    assert.deepEqual(urls.map(({ pathname }) => pathname.split("/").at(-1)).sort(), files);
    const readme = await Deno.readTextFile(new URL("data/README.md", import.meta.url));
    for (const file of files) assert.ok(readme.includes(`\`${file}\` `), file);
  });
}
