import { type Form, WordError } from "@lopper/options";
import { z } from "zod";

/** What stands for text that the model writes itself; a file of that name is `./self`. */
export const SELF = "self";
/** What stands for the texts of several kinds that come with Lopper, as much of each. */
export const MIX = "mix";
/**
 * What stands for the books that the embedded model was trained on; as held-out text, for another
 * one.
 */
export const BOOKS = "books";
const NAMED: readonly string[] = [SELF, MIX, BOOKS];

const part = z.strictObject({
  /** A file or folder in full, or SELF, MIX or BOOKS. */
  path: z.string().max(100_000),
  /** Beside others. */
  weight: z.number().positive(),
});

/** Calibration text, as settings have it. */
export type CalibrationPart = Readonly<z.infer<typeof part>>;

/** `PATH` or `PATH=WEIGHT`; several mix. A path that ends like a weight needs one behind it. */
export const calibrationParts: Form<readonly CalibrationPart[]> = {
  argument: "path",
  schema: z.array(part.readonly()).min(1).max(1000).readonly(),
  isList: true,
  parse(word, { absolute }) {
    const [, path = word, weight = "1"] = WEIGHTED.exec(word) ?? [];
    if (!(Number(weight) > 0)) {
      throw new WordError(
        `${word} has the weight ${weight}; it needs one above 0, or leave it out.`,
      );
    }
    return [{ path: NAMED.includes(path) ? path : absolute(path), weight: Number(weight) }];
  },
  words: (parts) =>
    parts.map(({ path, weight }) =>
      parts.length > 1 || weight !== 1 || WEIGHTED.test(path) ? `${path}=${weight}` : path
    ),
};

/** What a run is calibrated on: where its settings say nothing, on books. */
export function calibrationOf(
  { calibration }: { readonly calibration: readonly CalibrationPart[] | null },
): readonly CalibrationPart[] {
  return calibration ?? [{ path: BOOKS, weight: 1 }];
}

/**
 * What settings say of the text of a model that somebody brings, unless they say otherwise: it is
 * better calibrated on several kinds of text (benchmarks/README.md).
 */
export const USUAL_CALIBRATION: readonly CalibrationPart[] = [{ path: MIX, weight: 1 }];

const WEIGHTED = /^(.+)=(\d+(?:\.\d+)?)$/;
