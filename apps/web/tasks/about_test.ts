import { RunFolderError } from "@lopper/core";
import assert from "node:assert/strict";
import { type About, parseAbout } from "./about.ts";

const ABOUT: About = {
  ...{ kind: "lopper-web-run", title: "smol", isEmbedded: false, text: null },
  asked: { ratio: 20, preset: "lopper", samples: 8 },
  begun: "2026-11-30T16:00:00.000Z",
};

Deno.test("about: what was written of a run is read again, and nothing else", () => {
  assert.deepEqual(parseAbout(JSON.stringify(ABOUT), "about.json"), ABOUT);
  const others = [
    "",
    "[]",
    { ...ABOUT, kind: "lopper-run" },
    { ...ABOUT, more: 1 },
    { ...ABOUT, asked: { ...ABOUT.asked, ratio: 100 } },
    { ...ABOUT, asked: { ...ABOUT.asked, preset: "other" } },
    { ...ABOUT, begun: "today" },
  ];
  for (const other of others) {
    const text = typeof other === "string" ? other : JSON.stringify(other);
    assert.throws(() => parseAbout(text, "about.json"), RunFolderError, text);
  }
});
