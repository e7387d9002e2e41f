import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { encodedPieces, encodeLongText } from "./encode_pieces.ts";
import { FileFolder } from "@lopper/files";
import { openTokenizer, type Tokenizer } from "./tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/tokenizers", import.meta.url));
const refuse = (problem: string) => new TypeError(problem);

/** What texts are made of, and what tokenizers join, split or count from its beginning. */
const PARTS = [
  "The river ran past the mill",
  " and the lamps were lit",
  ".",
  ", it's 12345678 o'clock",
  "\n",
  "\n\n\n",
  "\r\n",
  "\r\n\r\n",
  "   ",
  "\t",
  " \n ",
  "雨が降った。",
  "Größe",
  "👩‍👩‍👧 ",
  "----------------",
  "    return x;\n",
  "7".repeat(40),
  " ",
  "a".repeat(90),
  "<|endoftext|>",
  "é",
];

function randomText(seed: number, parts: number): string {
  const random = xoroshiro128plus(seed);
  return Array.from({ length: parts }, () => PARTS[uniformInt(random, 0, PARTS.length - 1)]).join(
    "",
  );
}

for (const { name } of Deno.readDirSync(FIXTURES)) {
  Deno.test(`pieces: ${name} gives the ids of the whole text`, async () => {
    using tokenizer = await openTokenizer(new FileFolder(`${FIXTURES}/${name}`));
    for (let seed = 1; seed <= 3; seed++) {
      const text = randomText(seed, 1000);
      for (const addSpecialTokens of [true, false]) {
        const whole = await tokenizer.encode(text, { addSpecialTokens });
        const options = { addSpecialTokens, refuse, length: 3000 };
        let pieces = 0;
        for await (const _ of encodedPieces(tokenizer, text, options)) pieces += 1;
        assert.ok(pieces > 3, "it was cut");
        assert.deepEqual(await encodeLongText(tokenizer, text, options), whole, `seed ${seed}`);
      }
    }
  });
}

/** A tokenizer whose tokens are what matches, by its letters and their number. */
const matching = (pattern: RegExp): Pick<Tokenizer, "encode"> => ({
  encode: (text, { addSpecialTokens = true } = {}) => {
    const ids = (text.match(pattern) ?? []).map((part) => part.charCodeAt(0) * 8 + part.length);
    return Promise.resolve(addSpecialTokens ? [1, ...ids, 2] : ids);
  },
});

Deno.test("pieces: a text is not cut where tokens are counted from far before", async () => {
  for (const size of [3, 4]) {
    const tokenizer = matching(new RegExp(` ?\\S{1,${size}}|\\s`, "g"));
    const text = `x${"7.".repeat(2000)} ${"word ".repeat(800)}${"8.".repeat(2000)} end`;
    const options = { refuse, length: 1000 + 4096 };
    const whole = await tokenizer.encode(text);
    assert.deepEqual(await encodeLongText(tokenizer, text, options), whole, `by ${size}`);
    await assert.rejects(
      encodeLongText(tokenizer, "x" + "7.".repeat(5000), { refuse, length: 1000 }),
      /^TypeError: behind its first 0 characters there are 4000 that the tokenizer takes at once/,
    );
  }
});

Deno.test("pieces: a text is not cut where a token has something of both sides", async () => {
  const tokenizer = matching(/\n\S+|\S+|\s/g);
  const text = "Some words\nand more.\n".repeat(600);
  const whole = await tokenizer.encode(text);
  assert.deepEqual(await encodeLongText(tokenizer, text, { refuse, length: 2000 }), whole);
});

Deno.test("pieces: a text of one piece is encoded as it is, special tokens and all", async () => {
  const asked: string[] = [];
  const words = matching(/\S+/g);
  const tokenizer: Pick<Tokenizer, "encode"> = {
    encode: (text, options) => {
      asked.push(text);
      return words.encode(text, options);
    },
  };
  assert.deepEqual(await encodeLongText(tokenizer, "one two", { refuse }), [1, 891, 931, 2]);
  assert.deepEqual(asked, ["one two"]);
});
