/** The only part of Lopper's packages that touches `Deno.*`: local files. */
export * from "./append_file.ts";
export * from "./file_folder.ts";
export * from "./file_sink.ts";
export * from "./file_source.ts";
export * from "./folder_lock.ts";
export * from "./hub_cache.ts";
export * from "./hub_data_set.ts";
export * from "./list_files.ts";
export * from "./open_input.ts";
export * from "./source_watch.ts";
export * from "./system_reason.ts";
export * from "./write_error.ts";
export * from "./write_text_file.ts";
