import { type FolderHandle, isFull, type OwnFile, removeEntry } from "./handles.ts";

/** A file that is there for a moment only. */
const TRIAL = "room.lopper-partial";

/** Whether so many bytes may be written into a folder of the origin's own file system. */
export async function hasRoom(folder: FolderHandle, bytes: number): Promise<boolean> {
  const file = await folder.getFileHandle(TRIAL, { create: true }) as OwnFile;
  const access = await file.createSyncAccessHandle();
  try {
    // Nothing is written, and yet the browser counts it.
    access.truncate(bytes);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  } finally {
    access.close();
    await removeEntry(folder, TRIAL);
  }
}
