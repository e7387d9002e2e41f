import type { Attention, Rope } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { architectureFor, architectureNamed, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readerNotes } from "./notes.ts";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/families", import.meta.url));

async function notesOf(
  fixture: string,
  change?: Partial<Attention>,
  rope?: Partial<Rope>,
  arch?: string,
) {
  using model = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
  const { architecture } = model;
  const blocks = architecture.blocks.map((block) => {
    const { attention } = block;
    if (!attention) return block;
    const own = attention.rope && { ...attention.rope, ...rope };
    return { ...block, attention: { ...attention, rope: own, ...change } };
  });
  const written = arch ? architectureNamed(arch) : architectureFor(architecture.family)!;
  return readerNotes(written, { ...architecture, blocks });
}

Deno.test("GGUF notes: windows that llama.cpp does not have, and none where it has them or there are none", async () => {
  const [note, ...others] = await notesOf("mistral-sliding");
  assert.match(note, /^llama\.cpp has no windows in llama: of texts longer than \d+ tokens/);
  assert.deepEqual(others, []);
  assert.deepEqual(await notesOf("mistral-sliding", { window: null }), []);
  assert.deepEqual(await notesOf("gemma2"), []);
});

Deno.test("GGUF notes: queries that grow, where the architecture has none", async () => {
  const [note] = await notesOf("ministral3-long", { window: null }, {}, "deci");
  assert.match(note, /no queries in deci that grow .*: texts are no longer than 8 tokens$/);
  assert.deepEqual(await notesOf("ministral3-long", { window: null }), []);
});

Deno.test("GGUF notes: LongRoPE by the context, and YaRN whose band ends at whole pairs in llama.cpp", async () => {
  const [long] = await notesOf("phi3-long");
  assert.match(long, /where that is above 8 tokens, it takes the long factors/);
  const [yarn, ...others] = await notesOf("gpt_oss");
  assert.match(yarn, /every gpt-oss, .* rotary frequencies are up to [1-9]\d*\.\d % off$/);
  assert.deepEqual(others, []);
  const scaling = { type: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true } as const;
  const more = { originalMaxPositions: 32, attentionFactor: 1 };
  assert.deepEqual(await notesOf("gpt_oss", {}, { scaling: { ...scaling, ...more } }), []);
  // A band that ends where it would anyway.
  const wide = { ...scaling, truncate: false, originalMaxPositions: 128, attentionFactor: 1 };
  assert.deepEqual(await notesOf("gpt_oss", {}, { theta: 3, scaling: wide }), []);
});
