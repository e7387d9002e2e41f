import assert from "node:assert/strict";
import { endOfLines, endOfParagraphs, textParts } from "./text_parts.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("text parts: paragraphs end behind the last blank line, lines behind the last line end", () => {
  const cases: [string, number, number][] = [
    ["", 0, 0],
    ["words", 0, 0],
    ["words\n", 6, 0],
    ["words\n\n", 7, 7],
    ["a\n\nb\n", 5, 3],
    ["a\r\n\r\nb", 5, 5],
    ["a\n \t\nb\nc", 7, 5],
    ["a\n \t\r\nb", 6, 6],
    ["a\n.\nb", 4, 0],
    ["\n\na", 2, 2],
    [" \na", 2, 0],
    ["a\n\r\r\nb", 5, 0],
  ];
  for (const [text, lines, paragraphs] of cases) {
    const name = JSON.stringify(text);
    assert.equal(endOfLines(utf8(text), 0), lines, name);
    assert.equal(endOfParagraphs(utf8(text), 0), paragraphs, name);
    // What was searched before had no end, whatever was known of it.
    for (let known = 0; known < text.length; known++) {
      if (endOfParagraphs(utf8(text.slice(0, known)), 0) > 0) continue;
      assert.equal(endOfParagraphs(utf8(text), known), paragraphs, `${name}, ${known} known`);
    }
  }
});

Deno.test("text parts: characters are whole and the mark is gone, wherever the bytes are cut", async () => {
  const text = "grün\n雨が\n👩‍👩‍👧\n\n und so\r\nweiter";
  const bytes = utf8("\ufeff" + text);
  for (let size = 4; size <= bytes.length; size++) {
    const chunks = async function* () {
      for (let at = 0; at < bytes.length; at += size) {
        yield await Promise.resolve(bytes.subarray(at, at + size));
      }
    };
    const options = { end: endOfLines, maxBytes: 100, refuse: Error, tooLong: () => "too long" };
    const parts = await Array.fromAsync(textParts(chunks(), options));
    assert.equal(parts.map((part) => part.text).join(""), text, `${size} bytes at a time`);
    for (const { offset, text: part } of parts) {
      assert.deepEqual(
        bytes.subarray(offset, offset + 1),
        utf8((offset ? "" : "\ufeff") + part).subarray(0, 1),
      );
    }
  }
});
