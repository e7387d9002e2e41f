/** What an export wrote. */
export interface WrittenExport {
  /** Paths from the export's folder, in the order in which they were written. */
  readonly files: readonly string[];
  /** The reader has to run the code that lies beside the weights (transformers, `trust_remote_code`). */
  readonly customCode: boolean;
}
