/**
 * Makes the texts of packages/demo-model from Project Gutenberg books (the selection that NLTK
 * ships, gzipped): calibration.jsonl with passages of every book but Moby Dick, and held_out.txt
 * with the beginning of Moby Dick.
 *
 * Usage: deno run --allow-read --allow-write scripts/make_demo_texts.ts GUTENBERG_DIR
 */
import { gunzipSync } from "node:zlib";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

const HELD_OUT_BOOK = "melville-moby_dick.txt.gz";
/** ISO-8859-1 among otherwise ASCII files. */
const LATIN1 = new Set(["chesterton-ball.txt.gz", "shakespeare-caesar.txt.gz"]);
const PASSAGES_PER_BOOK = 32;
/**
 * Characters of a passage, about as long as an instruction sample of the published calibration set.
 */
const PASSAGE_CHARACTERS = 500;
/** A passage begins at least so many paragraphs before the end of its book. */
const LAST_START = 20;
const HELD_OUT_CHARACTERS = 30_000;
const OUT = new URL("../packages/demo-model/data/", import.meta.url);

/** Paragraphs of a book with hard line breaks undone, as the model was trained on them. */
function paragraphs(dir: string, book: string): string[] {
  const bytes = gunzipSync(Deno.readFileSync(`${dir}/${book}`));
  const text = new TextDecoder(LATIN1.has(book) ? "latin1" : "utf-8").decode(bytes);
  // In one of the books the empty lines hold a blank.
  return text.replaceAll("\r\n", "\n").split(/\n(?:[ \t]*\n)+/)
    .map((p) => p.split(/\s+/).filter((word) => word !== "").join(" "))
    .filter((p) => p !== "");
}

const [dir] = Deno.args;
if (!dir) {
  console.error("usage: make_demo_texts.ts GUTENBERG_DIR");
  Deno.exit(2);
}
const random = xoroshiro128plus(42);
const passages = new Set<string>();
const books = [...Deno.readDirSync(dir)].map((entry) => entry.name)
  .filter((name) => name.endsWith(".txt.gz") && name !== HELD_OUT_BOOK).sort();
for (const book of books) {
  const all = paragraphs(dir, book);
  if (all.length <= LAST_START) throw new Error(`${book}: only ${all.length} paragraphs`);
  // The same beginning may be drawn twice in a short book.
  const starts = new Set(
    Array.from({ length: PASSAGES_PER_BOOK }, () => uniformInt(random, 0, all.length - LAST_START)),
  );
  for (const start of starts) {
    let passage = "";
    // whole paragraphs from there on, until the passage is long enough
    for (let i = start; i < all.length && passage.length < PASSAGE_CHARACTERS; i++) {
      passage += (passage === "" ? "" : "\n\n") + all[i];
      if (passage.length > 4 * PASSAGE_CHARACTERS) passage = "";
    }
    if (passage !== "") passages.add(passage);
  }
}
const shuffled = [...passages];
for (let i = shuffled.length - 1; i > 0; i--) {
  const j = uniformInt(random, 0, i);
  [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
}
Deno.writeTextFileSync(
  new URL("calibration.jsonl", OUT),
  shuffled.map((text) => JSON.stringify({ text }) + "\n").join(""),
);

const moby = paragraphs(dir, HELD_OUT_BOOK);
let heldOut = "";
for (const paragraph of moby.slice(moby.findIndex((p) => p.startsWith("Call me Ishmael")))) {
  if (heldOut.length >= HELD_OUT_CHARACTERS) break;
  heldOut += paragraph + "\n\n";
}
Deno.writeTextFileSync(new URL("held_out.txt", OUT), heldOut.trimEnd() + "\n");
console.log(
  `${books.length} books, ${shuffled.length} passages, ${heldOut.length} held-out characters`,
);
