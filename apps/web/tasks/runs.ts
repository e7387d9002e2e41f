import { HandleFolder, OpfsRun, OpfsSink } from "@lopper/browser";
import { type FolderHandle, folderIn, removeEntry } from "@lopper/browser/handles";
import { type ModelFolder, writeJson } from "@lopper/formats";
import { type About, parseAbout } from "./about.ts";
import { embeddedModel } from "./embedded.ts";
import { runsFolder } from "./places.ts";

/** Of a run, besides its settings, its journal and its result. */
const ABOUT = "about.json";
const SOURCE = "source";
const TEXT = "text";
const SAVED = "saved";

/** A run in the browser's storage, by its id. */
export class StoredRun {
  readonly id: string;
  readonly folder: FolderHandle;
  readonly about: About;

  private constructor(id: string, folder: FolderHandle, about: About) {
    this.id = id;
    this.folder = folder;
    this.about = about;
  }

  /** @throws {RunFolderError} when there is no such run. */
  static async open(id: string): Promise<StoredRun> {
    const folder = await (await runsFolder()).getDirectoryHandle(id);
    const file = await (await folder.getFileHandle(ABOUT)).getFile();
    return new StoredRun(id, folder, parseAbout(await file.text(), ABOUT));
  }

  /** The model as it was when the run was begun. */
  async model(): Promise<ModelFolder> {
    const { isEmbedded, title } = this.about;
    if (isEmbedded) return await embeddedModel();
    return new HandleFolder(title, await this.folder.getDirectoryHandle(SOURCE));
  }

  /** The user's own text to judge by. */
  async text(): Promise<File | null> {
    const { text } = this.about;
    if (text === null) return null;
    const folder = await this.folder.getDirectoryHandle(TEXT);
    return await (await folder.getFileHandle(text)).getFile();
  }

  store(): Promise<OpfsRun> {
    return OpfsRun.open(this.about.title, this.folder);
  }

  /** Where a result is put in another form, to be taken from there. */
  async saved(): Promise<FolderHandle> {
    await removeEntry(this.folder, SAVED);
    return await folderIn(this.folder, [SAVED]);
  }
}

/** What is to be kept of a run that begins. */
export interface NewRun {
  readonly about: About;
  /** Files of the model by their paths; none of one that comes with the page. */
  readonly files: ReadonlyMap<string, Blob>;
  readonly text: File | null;
}

const CHUNK_BYTES = 2 ** 24;

/**
 * Copies what a run needs into the browser's storage, so that it can go on without its user.
 * @param id of the run; whoever calls has its lock.
 * @param onProgress hears of bytes.
 */
export async function keepRun(
  id: string,
  { about, files, text }: NewRun,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const folder = await folderIn(await runsFolder(), [id]);
  const copies = [
    ...Array.from(files, ([path, blob]) => ({ path: [SOURCE, ...path.split("/")], blob })),
    ...(text ? [{ path: [TEXT, text.name], blob: text }] : []),
  ];
  const total = copies.reduce((sum, { blob }) => sum + blob.size, 0);
  let done = 0;
  for (const { path, blob } of copies) {
    const sink = await OpfsSink.open(await folderIn(folder, path.slice(0, -1)), path.at(-1)!);
    for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
      const bytes = await blob.slice(at, at + CHUNK_BYTES).arrayBuffer();
      await sink.write(new Uint8Array(bytes));
      onProgress(done += bytes.byteLength, total);
    }
    await sink.commit();
  }
  // It comes last: without it, nobody takes the folder for a run.
  await writeJson((name) => OpfsSink.open(folder, name), ABOUT, about);
}
