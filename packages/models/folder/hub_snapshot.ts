import { CheckpointFormatError, shown, UnsupportedModelError } from "@lopper/core";
import { entryNames, type ModelFolder } from "@lopper/formats";

const SNAPSHOTS = "snapshots";
/** A snapshot in the hub's cache: what it is of, and its commit. */
const CACHED = /(?:^|[\\/])models--([\w.-]+)[\\/]snapshots[\\/]([0-9a-f]{40})(?:[\\/]|$)/;
/** A commit's name and a line break. */
const MAX_REF_BYTES = 300;

/**
 * The snapshot of a folder in which programs of Hugging Face keep what they downloaded of a model
 * (`models--owner--name`): that of the branch main, else the only one. Null for any other folder.
 * @throws {CheckpointFormatError} when the snapshot of main is not there.
 * @throws {UnsupportedModelError} when there are several, and none is that of main.
 */
export async function hubSnapshot(folder: ModelFolder): Promise<ModelFolder | null> {
  const snapshots = folder.folder(SNAPSHOTS);
  const found = await snapshots.list().then((names) => names, () => []);
  const revisions = entryNames(found);
  if (revisions.length === 0) return null;
  const refs = folder.folder("refs");
  if (await refs.has("main")) {
    const bytes = await refs.readBytes("main", MAX_REF_BYTES);
    const main = new TextDecoder().decode(bytes).trim();
    if (revisions.includes(main)) return snapshots.folder(main);
    throw new CheckpointFormatError(
      `the branch is at ${shown(main)}, and ${SNAPSHOTS} does not hold that`,
      { file: `${refs.name}/main` },
    );
  }
  if (revisions.length === 1) return snapshots.folder(revisions[0]);
  throw new UnsupportedModelError(
    `${folder.name} holds ${revisions.length} snapshots and no refs/main; name the one to open: ${
      shown(revisions)
    }`,
  );
}

/** What a model is called on the hub, and its commit there; null where its place does not say. */
export function hubOrigin(
  path: string,
): { readonly id: string | null; readonly revision: string | null } {
  const [, name, revision] = CACHED.exec(path) ?? [];
  return name === undefined
    ? { id: null, revision: null }
    : { id: name.replace("--", "/"), revision };
}
