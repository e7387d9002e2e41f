/**
 * What a browser has in place of files: Blobs, handles of folders, and the origin's own file
 * system.
 */
export { BlobFolder } from "./blob_folder.ts";
export { HandleFolder } from "./handle_folder.ts";
export { hasRoom } from "./has_room.ts";
export { OpfsRun } from "./opfs_run.ts";
export { OpfsSink } from "./opfs_sink.ts";
