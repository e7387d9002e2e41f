/** Files of this machine: the only package that touches them, in Deno and in Node. */
export { AppendFile } from "./append_file.ts";
export { FileFolder } from "./file_folder.ts";
export { FileSink, isPartialName, syncFolder } from "./file_sink.ts";
export { FileSource } from "./file_source.ts";
export { FolderLock, LOCK_FILE } from "./folder_lock.ts";
export { cachedRepository, cachedSnapshots, hubCacheFolder, isCachedDataSet } from "./hub/cache.ts";
export { downloadDataSet } from "./hub/data_set.ts";
export type { Hub } from "./hub/hub.ts";
export { cachedModel, downloadModel } from "./hub/model.ts";
export { type Pushed, pushModel } from "./hub/push.ts";
export { type HubModelName, hubModelName, writtenModelName } from "./hub/model_name.ts";
export { listFilesDeep } from "./list_files.ts";
export { isFile, isFolder, isThere } from "./look.ts";
export { openInput, readInput, readInputIfThere } from "./open_input.ts";
export { SourceWatch } from "./source_watch.ts";
export { codeOf, isMissing, systemReason } from "./system_reason.ts";
export { writeError, writing } from "./write_error.ts";
export { writeTextFileAtomically } from "./write_text_file.ts";
