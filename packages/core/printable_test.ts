import assert from "node:assert/strict";
import { printable, printableJson, printableLine } from "./printable.ts";

/** What a terminal obeys, or nobody sees. */
const OBEYED = [
  ...Array.from({ length: 0x20 }, (_, i) => i).filter((i) => i !== 9 && i !== 10),
  ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
  // soft hyphen, Arabic letter mark, zero width, marks of direction
  ...[0xad, 0x61c, 0x180e, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029],
  // embeddings, overrides and isolates
  ...[0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0xfeff],
  // half of a pair, and a letter of the hidden alphabet
  ...[0xd800, 0xdfff, 0xe0041],
].map((code) => String.fromCodePoint(code));

Deno.test("printable: what a terminal obeys or hides is shown, in lines and in JSON", () => {
  for (const character of OBEYED) {
    const text = `a${character}b`;
    for (const shown of [printable(text), printableLine(text), printableJson(text)]) {
      assert.ok(!shown.includes(character), JSON.stringify(shown));
      assert.match(shown, /a\\\S+b/);
    }
    assert.equal(JSON.parse(printableJson({ text }, 2)).text, text);
  }
  assert.equal(printable("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  assert.equal(printableLine("exe.\u202efdp\u{e0041}"), "exe.\\u202efdp\\u{e0041}");
  assert.equal(
    printableJson({ "\u009b2J": "\u{e0041}\u2028" }),
    String
      .raw`{"\u009b2J":"\udb40\udc41\u2028"}`,
  );
});

Deno.test("printable: what people write stays as it is", () => {
  const texts = ["C:\\models\\new", "naïve 文字 عربى می‌خواهم", "👩‍👧 e\u0301", "½ € “”", ""];
  for (const text of texts) {
    assert.equal(printable(text), text);
    assert.equal(printableLine(text), text);
    assert.equal(printableJson(text), JSON.stringify(text));
  }
});

Deno.test("printable: breaks and tabs stay in a text, and a line has none", () => {
  assert.equal(printable("a\tb\nc\r\nd\re"), "a\tb\nc\nd\\re");
  assert.equal(printableLine("a\tb\nc\r"), "a\\tb\\nc\\r");
  assert.equal(printableJson({ a: ["\n"] }, 1), '{\n "a": [\n  "\\n"\n ]\n}');
});
