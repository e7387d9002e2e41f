import { HandleFolder, OpfsSink } from "@lopper/browser";
import { type FolderHandle, folderIn } from "@lopper/browser/handles";
import type { ByteSink } from "@lopper/formats";
import { exportModel } from "@lopper/exports";
import { downloadZip } from "client-zip";
import { EMBEDDED_TEXTS } from "./embedded.ts";
import { openEngine } from "./engines.ts";
import type { SavedAs, Tasks } from "./protocol.ts";
import { resultOf } from "./result.ts";
import { StoredRun } from "./runs.ts";

type Tell = (what: string) => void;

/**
 * Puts a result into one file, in the browser's storage: it may be larger than memory.
 * @throws {ExportError} when the form cannot hold the model.
 */
export async function save({ run: id, as }: Tasks["save"]["given"], tell: Tell): Promise<File> {
  const run = await StoredRun.open(id);
  const folder = await run.saved();
  return as.form === "zip" ? await zip(run, folder, tell) : await gguf(run, folder, as, tell);
}

async function zip(run: StoredRun, folder: FolderHandle, tell: Tell): Promise<File> {
  const store = await run.store();
  const { name } = await resultOf(run, store);
  const files = await store.resultFiles();
  const total = [...files.values()].reduce((sum, { size }) => sum + size, 0);
  const entries = Array.from(files, ([path, file]) => ({ name: `${name}/${path}`, input: file }));
  const sink = await OpfsSink.open(folder, `${name}.zip`);
  let done = 0;
  for await (const bytes of downloadZip(entries).body!) {
    await sink.write(bytes);
    done += bytes.byteLength;
    tell(`packing, ${Math.min(100, Math.round(100 * done / total))} %`);
  }
  await sink.commit();
  return await (await folder.getFileHandle(`${name}.zip`)).getFile();
}

async function gguf(
  run: StoredRun,
  folder: FolderHandle,
  { quantize }: Extract<SavedAs, { form: "gguf" }>,
  tell: Tell,
): Promise<File> {
  const store = await run.store();
  const { name } = await resultOf(run, store);
  using model = await store.reopen();
  await using backend = await openEngine();
  const title = quantize === null ? name : `${name}-${quantize}`;
  const record = await exportModel(model, {
    ...{ title, to: "gguf" },
    options: quantize === null ? {} : { quantize },
  }, {
    store: {
      path: title,
      sink: (file) => sinkIn(folder, file),
      reopen: () => new HandleFolder(title, folder),
    },
    verifier: { backend, text: await (await EMBEDDED_TEXTS.heldOut()).text() },
    onPhase: (phase) => tell(phase === "writing" ? "writing" : "comparing with the model"),
  });
  const file = record.files.find((path) => path.endsWith(".gguf"))!;
  return await (await folder.getFileHandle(file)).getFile();
}

async function sinkIn(folder: FolderHandle, path: string): Promise<ByteSink> {
  const [file, ...folders] = path.split("/").reverse();
  return await OpfsSink.open(await folderIn(folder, folders.reverse()), file);
}
