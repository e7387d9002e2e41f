/** Parquet files, apart from the rest: few runs need what decompresses them. */
export * from "./parquet_rows.ts";
export * from "./parquet_samples.ts";
