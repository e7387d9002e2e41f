import { type FolderHandle, folderIn, RESULT_FOLDER } from "@lopper/browser/handles";

/** Where the runs of this page are in the origin's own file system. */
const PLACE = ["lopper", "runs"];

export async function runsFolder(): Promise<FolderHandle> {
  return await folderIn(await navigator.storage.getDirectory(), PLACE);
}

/** Where the result of a run is. */
export async function resultFolder(id: string): Promise<FolderHandle> {
  return await folderIn(await runsFolder(), [id, RESULT_FOLDER]);
}
