import { drawMixed, everySample } from "@lopper/importance";
import { filesOfText } from "../inputs/named_texts.ts";
import { type OnNote, readSamples } from "../inputs/text_files.ts";

/** Of samples of several texts. */
const DRAW_SEED = 42;

/**
 * Samples of texts to round by, in their order; several texts take turns.
 * @param texts files, folders, or names of texts that come along.
 * @param onNote hears what of a folder is passed over.
 */
export async function roundingText(texts: readonly string[], onNote: OnNote) {
  const name = texts.join(" and ");
  const files = texts.flatMap(filesOfText);
  const lists = await Promise.all(files.map(({ path }) => readSamples(path, onNote)));
  if (lists.length === 1) return { name, samples: everySample(lists[0]) };
  const count = lists.length * Math.min(...lists.map(({ length }) => length));
  const sources = lists.map((samples) => ({ samples, weight: 1 }));
  return { name, samples: drawMixed(sources, count, DRAW_SEED).read() };
}
