import { type Form, WordError } from "@lopper/options";
import { z } from "zod";

/** What stands for text that the model writes itself; a file of that name is `./self`. */
export const SELF = "self";

const part = z.strictObject({
  /** A file or folder in full, or SELF. */
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
    return [{ path: path === SELF ? SELF : absolute(path), weight: Number(weight) }];
  },
  words: (parts) =>
    parts.map(({ path, weight }) =>
      parts.length > 1 || weight !== 1 || WEIGHTED.test(path) ? `${path}=${weight}` : path
    ),
};

const WEIGHTED = /^(.+)=(\d+(?:\.\d+)?)$/;
