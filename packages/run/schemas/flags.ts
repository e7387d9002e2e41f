import { formatFacts, type FormatName } from "@lopper/exports/options";
import type { OptionTable } from "@lopper/options";
import { count } from "@lopper/search";
import { z } from "zod";
import { RUN_OPTIONS, type SettingKey } from "../options/run_options.ts";
import { isSetting } from "../options/setting.ts";

/** A text of a file: a path, a name, a passage. */
export const text = z.string().max(100_000);

type Shape = { [K in SettingKey]: typeof RUN_OPTIONS[K]["schema"] };

/** The schemas of the settings in a table. */
export function settingsShape(table: OptionTable): Readonly<Record<string, z.ZodType>> {
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, option]) =>
      isSetting(option) ? [[key, option.schema]] : []
    ),
  );
}

/** The settings of a run: what its options give, and what goes with it. */
export const flagsSchema = z.strictObject({
  /** Full path, or null for the embedded model. */
  model: text.nullable(),
  ...settingsShape(RUN_OPTIONS) as Shape,
  /** Ratios in per cent that the run had reached before it was extended, ascending. */
  earlierRatios: z.array(z.number().nonnegative().lt(100)).max(1000).readonly(),
  /**
   * Channels of experts may go. Runs of models without experts do not say it, and those that were
   * begun before they could.
   */
  narrowsExperts: z.literal(true).optional(),
  /** Tokens that run through a block together at most; fewer than usual where memory was short. */
  batchTokens: count.min(1),
}).refine(
  ({ export: format, quantize }) =>
    quantize === null || format !== null && formatFacts(format).quantizations.includes(quantize),
  { message: "the format has no such quantisation", path: ["quantize"] },
).refine(
  ({ export: format, quantize, rounding }) =>
    rounding !== "gptq" || format === "gguf" && quantize !== null,
  {
    message: "gptq is for --export gguf with --quantize, whose matrices it rounds",
    path: ["rounding"],
  },
);
export type RunFlags = Readonly<z.infer<typeof flagsSchema>>;

/** An export, in the words of the command line. */
export interface ExportFlags extends Pick<RunFlags, "dtype" | "quantize" | "rounding"> {
  readonly format: FormatName;
}

/** What the result of a run is exported as; null for nothing. */
export function exportOf(flags: RunFlags): ExportFlags | null {
  const { export: format, dtype, quantize, rounding } = flags;
  return format && { format, dtype, quantize, rounding };
}
