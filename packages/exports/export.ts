import type { GridName } from "@lopper/formats";

/** What the weights of an export are stored as; q8 and q4 have 8 and 4 bits. */
export type ExportPrecision = "fp32" | "fp16" | "q8" | "q4";

/** Types of llama.cpp that matrices are rounded to, by the names that users write. */
export const GGUF_QUANTIZATIONS = {
  q8_0: "Q8_0",
  q6_k: "Q6_K",
  q5_k: "Q5_K",
  q5_1: "Q5_1",
  q5_0: "Q5_0",
  q4_k: "Q4_K",
  q4_1: "Q4_1",
  q4_0: "Q4_0",
} as const satisfies Readonly<Record<string, GridName>>;
export type GgufQuantization = keyof typeof GGUF_QUANTIZATIONS;

/** The same for GGUF. */
export type GgufPrecision = "fp32" | "fp16" | GgufQuantization;

/** What an export wrote. */
export interface WrittenExport {
  /** Paths from the export's folder, in the order in which they were written. */
  readonly files: readonly string[];
  /**
   * The reader has to run the code that lies beside the weights (transformers,
   * `trust_remote_code`).
   */
  readonly customCode: boolean;
  /**
   * Matrices that were to be quantised and are F16, since their rows are not whole blocks; absent
   * where there are none.
   */
  readonly unquantised?: readonly string[];
  /** What the format has no place for, a sentence each; absent where it has a place for all. */
  readonly notes?: readonly string[];
}
