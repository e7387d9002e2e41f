import { ENGINE_OPTIONS } from "@lopper/backends";
import { UsageError } from "@lopper/core";
import { choice, HUB, on, type OptionTable, OUTPUT, path } from "@lopper/options";
import {
  type ExportPrecision,
  GGUF_QUANTIZATIONS,
  type GgufPrecision,
  type GgufQuantization,
} from "./export.ts";
import type { ImportanceSource } from "./gguf/importance.ts";
import type { QuantisedSource } from "./gguf/kept_quantised.ts";

/** What the user asks of the weights; without it, what the format takes by itself. */
export const EXPORT_DTYPES = ["fp32", "fp16"] as const satisfies readonly ExportPrecision[];
export type ExportDType = typeof EXPORT_DTYPES[number];

/** Formats by the word that stands after --to: what reads them, and what weights are stored as. */
const FORMATS = {
  safetensors: {
    readers: "transformers, and Lopper itself",
    /** Null where they stay as they are. */
    dtype: null,
    quantizations: [],
    layouts: ["deci"],
  },
  onnx: {
    readers: "onnxruntime and transformers.js",
    dtype: "fp32",
    quantizations: ["q8", "q4"],
    layouts: [],
  },
  gguf: {
    readers: "llama.cpp",
    dtype: "fp16",
    quantizations: Object.keys(GGUF_QUANTIZATIONS) as readonly GgufQuantization[],
    layouts: [],
  },
} as const;

export type FormatName = keyof typeof FORMATS;
/** Bits of matrices, by the names that the readers of a format have for them. */
export type Quantization = typeof FORMATS[FormatName]["quantizations"][number];
/** How matrices are rounded: each value to the nearest, or by what that does to a text. */
const ROUNDINGS = ["nearest", "gptq"] as const;
export type Rounding = typeof ROUNDINGS[number];
type Layout = typeof FORMATS[FormatName]["layouts"][number];

/** What may be asked of an export besides its format. */
export interface FormatOptions {
  /** How a folder for transformers is laid out; for vLLM where layers differ. */
  readonly layout?: Layout;
  readonly dtype?: ExportDType;
  readonly quantize?: Quantization;
  /** Of quantised matrices; to the nearest unless said. */
  readonly rounding?: Rounding;
  /** Of GGUF: whose matrices are copied from there, where neither of both is asked. */
  readonly quantised?: QuantisedSource;
  /** Of GGUF: what is written beside it for llama.cpp's quantiser. */
  readonly importance?: ImportanceSource;
}

interface FormatFacts {
  readonly readers: string;
  readonly dtype: ExportDType | null;
  readonly quantizations: readonly Quantization[];
  readonly layouts: readonly Layout[];
}

export const FORMAT_NAMES = Object.keys(FORMATS) as readonly FormatName[];
/** What a format is, as data. */
export const formatFacts = (name: FormatName): FormatFacts => FORMATS[name];
const all = Object.values(FORMATS) as readonly FormatFacts[];
/** All quantisations that some format knows. */
export const QUANTIZATIONS = all.flatMap(({ quantizations }) => quantizations);
const each = (say: (name: FormatName, facts: FormatFacts) => string | null) =>
  FORMAT_NAMES.flatMap((name) => say(name, formatFacts(name)) ?? []).join(", ");

/** The precision that the result of an export is held to. */
export function precisionOf(
  format: FormatName,
  { dtype, quantize, quantised }: FormatOptions,
): ExportPrecision | GgufPrecision {
  if (quantised && format === "gguf" && !dtype && !quantize) return "q8_0";
  // What stays as it is, is compared bit for bit.
  return quantize ?? dtype ?? formatFacts(format).dtype ?? "fp32";
}

/** What weights of an export are stored as. */
export const PRECISION_OPTIONS = {
  dtype: {
    form: choice("dtype", EXPORT_DTYPES),
    help: "precision of exported weights",
    stated: each((name, { dtype }) => `${name} ${dtype ?? "as they are"}`),
  },
  quantize: {
    form: choice("bits", QUANTIZATIONS),
    help: `exported matrices in few bits: ${
      each((name, { quantizations }) =>
        quantizations.length > 0 ? `${quantizations.join(", ")} (${name})` : null
      )
    }`,
    conflicts: ["dtype"],
  },
} as const satisfies OptionTable;

/** Options of `lopper export`. */
export const EXPORT_OPTIONS = {
  to: {
    form: choice("format", FORMAT_NAMES),
    help: each((name, { readers }) => `${name} (for ${readers})`),
    isNeeded: true,
  },
  out: { form: path("dir"), help: "folder for the result", isNeeded: true },
  ...PRECISION_OPTIONS,
  rounding: {
    form: choice("how", ROUNDINGS),
    help:
      "gguf, with --quantize: nearest: each weight by itself, with the bits of llama.cpp's quantiser; gptq: each with " +
      "the errors of those before it, by what enters its matrix on the text of --calibration",
    without: "nearest",
  },
  calibration: {
    form: path("path"),
    help: "text that --rounding gptq learns from: .txt, .jsonl, .parquet or a folder of them",
    stated: "what prune calibrates on by default",
  },
  keepQuantised: {
    form: path("file"),
    help:
      "gguf: the GGUF file from which the model was pruned; matrices that stayed as they were " +
      "are copied from it, new ones have 8 bits",
    stated: "what is in the file that is exported itself",
    conflicts: ["dtype", "quantize"],
  },
  imatrix: {
    form: path("file"),
    help:
      "gguf: llama.cpp's importance matrix of the model before it was pruned; what is left of it " +
      "is written beside the result, for llama-quantize",
  },
  layout: {
    form: choice("name", all.flatMap(({ layouts }) => layouts)),
    help: "safetensors in DeciLM's layout, for vLLM and mlx-lm",
  },
  verify: {
    form: choice("how", ["logits", "none"]),
    help: "logits: open the result and compare its logits with the source's",
    without: "logits",
  },
  backend: {
    form: choice("name", ["auto", "cpu", "wasm"]),
    help: "engine that verifies: the processor's own, or WebAssembly",
    without: "auto",
  },
  threads: ENGINE_OPTIONS.threads,
  overwrite: { form: on, help: "replace an earlier export" },
  ...HUB,
  ...OUTPUT,
} as const satisfies OptionTable;

/**
 * @param option the option that names the format.
 * @throws {UsageError} when a format does not have what is asked of it.
 */
export function checkFormatOptions(
  format: FormatName,
  { quantize, layout, rounding }: FormatOptions,
  option: string,
) {
  if (rounding === "gptq" && (format !== "gguf" || quantize === undefined)) {
    throw new UsageError(
      `--rounding gptq is for ${option} gguf with --quantize, whose matrices it rounds`,
    );
  }
  const { layouts, quantizations } = formatFacts(format);
  if (layout !== undefined && !layouts.includes(layout)) {
    const owners = FORMAT_NAMES.filter((name) => formatFacts(name).layouts.includes(layout));
    throw new UsageError(
      `--layout ${layout} does not go with ${option} ${format}; it is for ${owners.join(", ")}`,
    );
  }
  if (quantize === undefined || quantizations.includes(quantize)) return;
  throw new UsageError(
    `--quantize ${quantize} does not go with ${option} ${format}, which takes ${
      quantizations.length > 0 ? `one of ${quantizations.join(", ")}` : "none"
    }`,
  );
}
