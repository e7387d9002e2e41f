import type { Architecture } from "@lopper/core";
import { apportioned, listOf, type SampleSource } from "@lopper/importance";
import type { Tokenizer } from "@lopper/tokenizers";
import {
  BOOKS,
  calibrationOf,
  type CalibrationPart,
  cutTexts,
  ownTextLength,
  type RunFlags,
  type RunTexts,
  SELF,
  textNeeds,
} from "@lopper/run";
import { filesOfHeldOut, filesOfText } from "../shared/inputs/named_texts.ts";
import { type OnNote, readSamples } from "../shared/inputs/text_files.ts";
import { nameOfText } from "../shared/reporting/run_names.ts";

/**
 * Reads, draws, joins, tokenises and cuts the calibration and held-out texts.
 * @param own writes text for --calibration self: so many texts.
 * @param onNote hears what of a folder of texts is passed over.
 * @throws {UsageError} when sequences are longer than the model takes.
 */
export async function readTexts(
  flags: RunFlags,
  architecture: Architecture,
  tokenizer: Tokenizer,
  own: (count: number) => Promise<readonly string[]>,
  onNote: OnNote,
): Promise<RunTexts> {
  const { drawn, extraSamples, extendedTokens } = textNeeds(flags, architecture);
  const blockText = calibrationOf(flags);
  const widthText = flags.calibrationWidth ?? blockText;
  // A file is asked for what there is; a model writes no more than is used.
  const extraOwn = Math.min(
    extraSamples,
    Math.ceil(extendedTokens / ownTextLength(flags.seqLen)),
  );
  const read = async (parts: readonly CalibrationPart[], ownSamples: number) => {
    const counts = apportioned(parts.map(({ weight }) => weight), ownSamples);
    const names = parts.map(({ path }) => nameOfText(path));
    const sources: SampleSource[] = [];
    for (const [i, { path, weight }] of parts.entries()) {
      const name = names.filter((name) => name === names[i]).length > 1 ? path : names[i];
      if (path === SELF) {
        sources.push({ name, samples: listOf(await own(Math.max(1, counts[i]))), weight });
        continue;
      }
      const files = filesOfText(path);
      for (const file of files) {
        const samples = await readSamples(file.path, onNote);
        sources.push({ name: file.name ?? name, samples, weight: weight / files.length });
      }
    }
    return { name: parts.map(({ path }) => path).join(", "), sources };
  };
  const heldOut = await Promise.all(
    filesOfHeldOut(flags.heldOut ?? BOOKS).map(async ({ path, name = path }) => ({
      name,
      samples: await readSamples(path, onNote),
    })),
  );
  const block = await read(blockText, drawn + extraOwn);
  const same = JSON.stringify(widthText) === JSON.stringify(blockText);
  const width = same ? null : await read(widthText, flags.widthSamples);
  return await cutTexts({ block, width, heldOut }, flags, architecture, tokenizer);
}
