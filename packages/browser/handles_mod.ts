/** Handles of files and folders alone, for pages that leave the work to a worker. */
export { filesIn, type FolderHandle, folderIn, isMissing, removeEntry } from "./handles.ts";
export { RESULT_FOLDER } from "./result_folder.ts";
