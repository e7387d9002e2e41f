/** Handles of files and folders, as far as they are used here: those of browsers are such. */

/** A file that a worker has for itself, to write it at once. */
export interface AccessHandle {
  /** @returns bytes written. */
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  /** What was written outlives the tab when this returns. */
  flush(): void;
  close(): void;
}

export interface FileHandle {
  getFile(): Promise<File>;
}

/** A file of the origin's own file system, in a worker. */
export interface OwnFile extends FileHandle {
  createSyncAccessHandle(): Promise<AccessHandle>;
  /** Gives it another name, in the same folder. */
  move(name: string): Promise<void>;
}

interface Finding {
  /** Make it where it is not there. */
  readonly create?: boolean;
}

export interface FolderHandle {
  keys(): AsyncIterable<string>;
  entries(): AsyncIterable<[string, { readonly kind: "file" | "directory" }]>;
  getFileHandle(name: string, options?: Finding): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: Finding): Promise<FolderHandle>;
  removeEntry(name: string, options?: { readonly recursive?: boolean }): Promise<void>;
}

/**
 * The folder with a path of plain names in another; made, with those on the way, where it is not
 * there.
 */
export async function folderIn(
  folder: FolderHandle,
  names: readonly string[],
): Promise<FolderHandle> {
  let at = folder;
  for (const name of names) at = await at.getDirectoryHandle(name, { create: true });
  return at;
}

/** Removes a file, or a folder with all that is in it; what is not there is removed already. */
export async function removeEntry(folder: FolderHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name, { recursive: true });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Files of a folder and of the folders in it, by their paths with slashes. */
export async function filesIn(
  folder: FolderHandle,
  path = "",
): Promise<ReadonlyMap<string, File>> {
  const found = new Map<string, File>();
  for await (const [name, { kind }] of folder.entries()) {
    if (kind === "file") {
      found.set(path + name, await (await folder.getFileHandle(name)).getFile());
    } else {
      const inside = await folder.getDirectoryHandle(name);
      for (const [at, file] of await filesIn(inside, `${path}${name}/`)) found.set(at, file);
    }
  }
  return found;
}

/** Whether an error says that there is no such file or folder. */
export function isMissing(error: unknown): boolean {
  return named(error, "NotFoundError");
}

/** Whether an error says that there is no more room. */
export function isFull(error: unknown): boolean {
  return named(error, "QuotaExceededError");
}

/**
 * Whether an error says that a name is a folder's where a file is wanted, or the other way round.
 */
export function isOtherKind(error: unknown): boolean {
  return named(error, "TypeMismatchError");
}

function named(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
