import { filesIn, type FolderHandle, folderIn, isMissing } from "@lopper/browser/handles";
import { TaskError } from "../tasks/ask.ts";
import type { Result } from "../tasks/protocol.ts";
import { resultFolder } from "../tasks/places.ts";

/** Browsers that have it let a page write into a folder that its user chooses. */
interface Choosing {
  showDirectoryPicker?(
    options: { readonly mode: "readwrite" },
  ): Promise<FileSystemDirectoryHandle>;
}

export function canSaveFolder(): boolean {
  return "showDirectoryPicker" in globalThis;
}

/** Hands a file to the browser, which saves it where downloads go. */
export function saveFile(file: File) {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = file.name;
  link.click();
  // The browser has begun to copy by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Writes a result as a folder in one that the user chooses; nothing there is replaced.
 * @returns its name; null where the user chose none.
 */
export async function saveFolder(
  { id, name }: Result,
  tell: (what: string) => void,
): Promise<string | null> {
  const chosen = await (globalThis as Choosing).showDirectoryPicker!({ mode: "readwrite" })
    .catch(() => null);
  if (chosen === null) return null;
  const free = await freeName(chosen, name);
  const files = await filesIn(await resultFolder(id));
  try {
    const folder = await folderIn(chosen, [free]);
    let done = 0;
    for (const [path, file] of files) {
      tell(`writing ${++done} of ${files.size} files`);
      const names = path.split("/");
      const place = await folderIn(folder, names.slice(0, -1));
      const handle = await place.getFileHandle(names.at(-1)!, { create: true });
      await file.stream().pipeTo(await (handle as FileSystemFileHandle).createWritable());
    }
    return free;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TaskError(`The folder ${free} could not be written: ${reason}`);
  }
}

/** A name that nothing in a folder has: `name`, `name-2`, … */
async function freeName(folder: FolderHandle, name: string): Promise<string> {
  for (let n = 1;; n++) {
    const free = n === 1 ? name : `${name}-${n}`;
    try {
      await folder.getDirectoryHandle(free);
    } catch (error) {
      if (isMissing(error)) return free;
      // A file has the name.
    }
  }
}
