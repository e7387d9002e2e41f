/** What the weights of an export are stored as; q8 and q4 have 8 and 4 bits. */
export type ExportPrecision = "fp32" | "fp16" | "q8" | "q4";

/** The same for GGUF, where 8 and 4 bits have the names of llama.cpp's types. */
export type GgufPrecision = "fp32" | "fp16" | "q8_0" | "q4_0";

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
