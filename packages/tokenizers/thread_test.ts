import { CheckpointFormatError } from "@lopper/core";
import { MemoryFolder } from "@lopper/formats";
import { openTokenizer } from "./tokenizer.ts";
import assert from "node:assert/strict";
import process from "node:process";

type Json = Readonly<Record<string, unknown>>;

const folder = (parts: Json) => {
  const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]] };
  return new MemoryFolder("m", { "tokenizer.json": JSON.stringify({ model, ...parts }) });
};
/** It tries all ways to cut a run of "a", twice as many for each more; 26 take about a second. */
const pattern = { Regex: "(a+)+!" };
const RUN = "a".repeat(26);
const endless = {
  split: { pre_tokenizer: { type: "Split", pattern, behavior: "Isolated" } },
  normalizer: { normalizer: { type: "Replace", pattern, content: "b" } },
  decoder: {
    decoder: {
      type: "Sequence",
      decoders: [{ type: "Fuse" }, { type: "Replace", pattern, content: "b" }],
    },
  },
};
const silenceMs = 300;

async function isRefused(asked: Promise<unknown>, message: RegExp) {
  await assert.rejects(asked, (error: Error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("tokenizer: patterns that find no end are given up by name, and nobody else waits for them", async () => {
  for (const [part, files] of Object.entries(endless)) {
    using tokenizer = await openTokenizer(folder(files), { silenceMs });
    assert.deepEqual(await tokenizer.encode("ab"), [2]);
    let heard = 0;
    const pulse = setInterval(() => heard += 1, 5);
    const asked = part === "decoder"
      ? tokenizer.decode(Array(26).fill(0))
      : tokenizer.encode(`${RUN} and more`);
    const waiting = tokenizer.encode("ab");
    const what = part === "decoder" ? "decoding 26 tokens" : 'encoding "a{26} and more"';
    const message = RegExp(`^m/tokenizer\\.json: ${what} failed: no end after .* s; `);
    await Promise.all([isRefused(asked, message), isRefused(waiting, message)]);
    clearInterval(pulse);
    assert.ok(heard > 2, "this thread went on meanwhile");
    await isRefused(tokenizer.encode("ab"), message);
  }
});

Deno.test("tokenizer: a thread that waits for a processor is not given up", async () => {
  const { cpuUsage } = process;
  process.cpuUsage = () => ({ user: 0, system: 0 });
  try {
    using tokenizer = await openTokenizer(folder(endless.split), { silenceMs: 2 * silenceMs });
    assert.deepEqual(await tokenizer.encode(RUN), Array(RUN.length).fill(0));
  } finally {
    process.cpuUsage = cpuUsage;
  }
});

Deno.test("tokenizer: one that finds no end when it is opened is given up, too", async () => {
  const added_tokens = [{ id: 3, content: RUN, normalized: true }];
  const opened = openTokenizer(folder({ ...endless.normalizer, added_tokens }), { silenceMs });
  await isRefused(opened, /^m\/tokenizer\.json: it cannot be used as a tokenizer \(no end after/);
});

Deno.test("tokenizer: a part that is none is one sentence, when it is opened", async () => {
  for (
    const parts of [
      {
        pre_tokenizer: {
          type: "Split",
          pattern: { Regex: "(?<!a(?>b))\\K" },
          behavior: "Isolated",
        },
      },
      { normalizer: { type: "Unheard" } },
      { normalizer: { type: "Prepend", prepend: "a".repeat(1000) } },
    ]
  ) {
    const opened = openTokenizer(folder(parts));
    await isRefused(opened, /^m\/tokenizer\.json: it cannot be used as a tokenizer \(.+\); Lopper/);
  }
});

Deno.test("tokenizer: what fails on one text does not on the next, and answers are those of what was asked", async () => {
  const model = { type: "WordLevel", vocab: { a: 0, b: 1 } };
  using tokenizer = await openTokenizer(folder({ model, pre_tokenizer: { type: "Whitespace" } }));
  const texts = Array.from({ length: 50 }, (_, i) => i % 3 === 0 ? "c" : "a b ".repeat(i));
  const found = await Promise.allSettled(texts.map((text) => tokenizer.encode(text)));
  found.forEach((answer, i) => {
    if (i % 3 > 0) {
      assert.ok(answer.status === "fulfilled");
      assert.deepEqual(answer.value, Array.from({ length: 2 * i }, (_, n) => n % 2));
    } else {
      assert.ok(answer.status === "rejected");
      assert.match(
        answer.reason.message,
        /m\/tokenizer\.json: encoding "c" failed: it has no token/,
      );
    }
  });
});

Deno.test("tokenizer: whoever waits for one that is closed hears so", async () => {
  const tokenizer = await openTokenizer(folder({}));
  const waiting = tokenizer.encode("ab");
  tokenizer[Symbol.dispose]();
  tokenizer[Symbol.dispose]();
  await isRefused(waiting, /it was closed/);
  await isRefused(tokenizer.decode([0]), /it was closed/);
});
