import { CalibrationError } from "@lopper/core";
import { type ByteSource, MemorySource } from "@lopper/formats";
import assert from "node:assert/strict";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { everySample, type SampleList } from "./sample_list.ts";
import { MAX_SAMPLE_BYTES, parseSamples, textSamples } from "./text_samples.ts";

Deno.test("samples: paragraphs of a .txt, lines of a .jsonl", () => {
  assert.deepEqual(parseSamples("a\nb\r\n\r\n\n c \n \t\nd\n", "x.txt"), ["a\nb", "c", "d"]);
  assert.deepEqual(parseSamples('{"text":"a"}\n\n{"text":" b","id":1}\n', "x.jsonl"), ["a", " b"]);
});

Deno.test("samples: what is wrong is named with its line", () => {
  const refused = (text: string, file: string, message: RegExp) =>
    assert.throws(
      () => parseSamples(text, file),
      (error) => error instanceof CalibrationError && message.test(error.message),
    );
  refused("", "x.txt", /x\.txt: there is no text/);
  refused("text", "x.csv", /x\.csv: .*\.txt, \.jsonl or \.parquet/);
  refused('{"text":"a"}\nnope', "x.jsonl", /x\.jsonl, line 2: not JSON/);
  refused('{"text":3}', "x.jsonl", /line 1: each line needs the form/);
  refused("null", "x.jsonl", /line 1: each line needs the form/);
});

const listed = (text: string | Uint8Array, file: string) => {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return textSamples(() => Promise.resolve(new MemorySource(file, bytes)), file);
};
const all = async (list: SampleList) => await Array.fromAsync(everySample(list));

const PIECES = {
  txt: [
    "word",
    "grün ",
    "\n",
    "\r\n",
    "\n\n",
    "\n \t\n",
    "\r",
    " ",
    "\r\n\r\n",
    "雨",
    "\u00a0",
    "\ufeff",
  ],
  jsonl: ['{"text":"a b"}', '{"text":""}', '{"text":" grün\\n\\n"}', "\n", "\r\n", "\n \n", "\n\n"],
};

/**
 * A text of lines for `.jsonl`, of anything for `.txt`; most of it longer than what is read at
 * once.
 */
function randomText(kind: "txt" | "jsonl", seed: number): string {
  const random = xoroshiro128plus(seed);
  const any = (list: readonly string[]) => list[uniformInt(random, 0, list.length - 1)];
  const lines = (kind: string) => kind === "jsonl" ? any(PIECES.jsonl.slice(3)) : "";
  const length = uniformInt(random, 10, 60_000);
  const parts = kind === "txt" ? PIECES.txt : PIECES.jsonl.slice(0, 3);
  return Array.from({ length }, () => any(parts) + lines(kind)).join("");
}

for (const kind of ["txt", "jsonl"] as const) {
  Deno.test(`samples: of a .${kind} that is read in stretches they are those of the whole`, async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const text = randomText(kind, seed);
      const file = `x.${kind}`;
      const samples = parseSamples(text, file);
      const list = await listed(text, file);
      assert.equal(list.length, samples.length, `seed ${seed}`);
      assert.deepEqual(await all(list), samples, `seed ${seed}`);
      const some = samples.flatMap((_, i) => i % 97 === seed ? [i] : []);
      assert.deepEqual(await Array.fromAsync(list.read(some)), some.map((i) => samples[i]));
      assert.deepEqual(await all(await listed("\ufeff" + text, file)), samples, "with a mark");
    }
  });
}

Deno.test("samples: what is wrong in a long text is named with its line in the whole", async () => {
  const line = JSON.stringify({ text: "word ".repeat(200) }) + "\n";
  await assert.rejects(
    listed(line.repeat(2000) + "nope\n" + line, "x.jsonl"),
    /^CalibrationError: x\.jsonl, line 2001: not JSON/,
  );
  const bytes = new TextEncoder().encode("words\n\n".repeat(200_000));
  bytes[1_000_000] = 0xff;
  await assert.rejects(listed(bytes, "x.txt"), /^CalibrationError: x\.txt: not UTF-8 text$/);
});

/** A source of a size that nobody has, and what was read of it. */
function endless(size: number, byte: number): { source: ByteSource; read: () => number } {
  let read = 0;
  const source: ByteSource = {
    name: "endless",
    size,
    read: (_offset, length) => {
      read += length;
      return Promise.resolve(new Uint8Array(length).fill(byte));
    },
    close: () => {},
  };
  return { source, read: () => read };
}

Deno.test("samples: one that never ends is refused when it is longer than a sample, or by its first 0", async () => {
  for (
    const [file, message] of [
      ["x.txt", /^CalibrationError: x\.txt: behind its byte 0 there is no blank line for 16777216/],
      [
        "x.jsonl",
        /^CalibrationError: x\.jsonl: behind its byte 0 there is no line end for 16777216/,
      ],
    ] as const
  ) {
    const { source, read } = endless(540e6, 97);
    await assert.rejects(textSamples(() => Promise.resolve(source), file), message);
    assert.ok(read() < MAX_SAMPLE_BYTES + 2 ** 20);
    const sparse = endless(6e9, 0);
    await assert.rejects(
      textSamples(() => Promise.resolve(sparse.source), file),
      (error) =>
        error instanceof CalibrationError && /not a text: its byte 0 is 0/.test(error.message),
    );
    assert.ok(sparse.read() < 2 ** 20);
  }
});

Deno.test("samples: few bytes are read for one of them, wherever it is", async () => {
  const bytes = new TextEncoder().encode("some words of a paragraph\n\n".repeat(400_000));
  let read = 0;
  const source = new MemorySource("x.txt", bytes);
  const counting: ByteSource = {
    name: source.name,
    size: source.size,
    read: (offset, length) => {
      read += length;
      return source.read(offset, length);
    },
    close: () => {},
  };
  const list = await textSamples(() => Promise.resolve(counting), "x.txt");
  assert.equal(list.length, 400_000);
  assert.equal(read, bytes.byteLength);
  for (const n of [0, 123_456, 399_999]) {
    read = 0;
    assert.deepEqual(await Array.fromAsync(list.read([n])), ["some words of a paragraph"]);
    assert.ok(read < 2 ** 20, `${n}: ${read}`);
  }
});

Deno.test("samples: a file that became shorter is said", async () => {
  let text = "a\n\nb\n\nc";
  const list = await textSamples(
    () => Promise.resolve(new MemorySource("x.txt", new TextEncoder().encode(text))),
    "x.txt",
  );
  text = "a";
  await assert.rejects(Array.fromAsync(list.read([2])), /x\.txt: it was changed while it was read/);
});
