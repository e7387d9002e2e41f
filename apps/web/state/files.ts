import type { Source } from "../tasks/protocol.ts";

/** What a person chose: a folder, or a file alone; null for nothing. */
export function chosenFiles(files: readonly File[]): Source | null {
  return sourceOf(files.map((file) => [file.webkitRelativePath || file.name, file]));
}

/** What a person dropped: a folder, or files. */
export async function droppedSource(
  { items }: Pick<DataTransfer, "items">,
): Promise<Source | null> {
  // They can be asked for during the event only.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  return sourceOf((await Promise.all(entries.map((entry) => filesOf(entry)))).flat());
}

type Named = readonly [path: string, file: File];

/** Files by their paths; one folder that holds all of them gives the model its name. */
function sourceOf(files: readonly Named[]): Source | null {
  if (files.length === 0) return null;
  const [first] = files[0][0].split("/");
  const isFolder = files.every(([path]) => path.startsWith(`${first}/`));
  if (isFolder) {
    const inside = files.map(([path, file]) => [path.slice(first.length + 1), file] as const);
    return { kind: "files", name: first, files: new Map(inside) };
  }
  const model = files.find(([path]) => /\.gguf$/i.test(path));
  // What lies beside a GGUF file is not of the model.
  const taken = model ? [model] : files;
  return { kind: "files", name: model ? model[0] : "model", files: new Map(taken) };
}

/** Files deeper than any model has them are not looked for. */
const MAX_DEPTH = 3;

async function filesOf(entry: FileSystemEntry, path = "", depth = 0): Promise<readonly Named[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject)
    );
    return [[path + entry.name, file]];
  }
  if (depth === MAX_DEPTH) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    // A reader hands over a hundred at a time.
    if (some.length === 0) break;
    found.push(...some);
  }
  const inside = found.map((inner) => filesOf(inner, `${path}${entry.name}/`, depth + 1));
  return (await Promise.all(inside)).flat();
}
