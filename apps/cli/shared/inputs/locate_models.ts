import { formatBytes, HubError, HubUnreachableError } from "@lopper/core";
import { DEMO_MODEL_NAME } from "@lopper/demo-model";
import {
  cachedModel,
  downloadModel,
  type HubModelName,
  hubModelName,
  isThere,
  writtenModelName,
} from "@lopper/files";
import { neededFiles } from "@lopper/models";
import { basename } from "node:path";
import type { Interruption } from "../terminal/interrupt.ts";
import type { Reporter } from "../terminal/reporter.ts";
import { SAME_COMMAND, withWayOn } from "../terminal/way_on.ts";
import { type UserHub, userHub } from "./hub.ts";
import { userPath } from "./paths.ts";

/** A model that the user named, on this machine. */
export interface LocatedModel {
  /** As the user wrote it. */
  readonly named: string;
  /** Of its folder or its file; null for the embedded model. */
  readonly path: string | null;
  /** What it is called. */
  readonly title: string;
  /**
   * By what a record finds it again: its path, or its name on the hub with the commit; null for the
   * embedded model.
   */
  readonly source: string | null;
}

export interface Locating {
  /** Nothing is downloaded. */
  readonly offline?: boolean;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
}

/** Finds models by the words of a command line; those of the hub are downloaded. */
export type LocateModels = (
  names: readonly (string | null)[],
  how: Locating,
) => Promise<readonly LocatedModel[]>;

/** The embedded model, by this word where a path is needed. */
export const DEMO = "demo";
const FORMS = "in Hugging Face layout, a GGUF or an ONNX file";
const ON_HUB = "a name of the hub (owner/name, owner/name@revision, owner/name:file.gguf)";
/** What a command takes as its model, and as its models. */
export const MODEL_HELP = `a folder ${FORMS}, ${ON_HUB}`;
export const MODELS_HELP = `each ${MODEL_HELP}`;
/** Digits of a commit that people are shown. */
const SHORT = 7;

/** @param onAllHere hears that no model is to be downloaded any more, before any is opened. */
export function modelLocator(onAllHere = () => Promise.resolve()): LocateModels {
  return async (names, how) => {
    const found: LocatedModel[] = [];
    for (const name of names) found.push(await locate(name, how));
    await onAllHere();
    return found;
  };
}

/** Whether a word names a model of the hub: what is here by that path wins. */
export async function isOnHub(name: string): Promise<boolean> {
  return hubModelName(name) !== null && !await isThere(userPath(name));
}

/** What a run goes on with: of the same model of the hub, the commit that it was begun with. */
export function namedAgain(name: string | undefined, begun: string | null): string | null {
  if (name === undefined || begun === null) return name ?? begun;
  const [asked, earlier] = [hubModelName(name), hubModelName(begun)];
  const isSame = asked?.revision === null && asked.repository === earlier?.repository &&
    asked.file === earlier.file;
  return isSame ? begun : name;
}

async function locate(name: string | null, how: Locating): Promise<LocatedModel> {
  if (name === null || name === DEMO && !await isThere(userPath(DEMO))) {
    return { named: DEMO, path: null, title: DEMO_MODEL_NAME, source: null };
  }
  const path = userPath(name);
  const onHub = await isOnHub(name) ? hubModelName(name) : null;
  if (onHub === null) return { named: name, path, title: basename(path), source: path };
  try {
    const { path, commit } = await fromHub(onHub, how);
    return {
      named: name,
      path,
      title: writtenModelName({ ...onHub, revision: null }),
      source: writtenModelName({ ...onHub, revision: commit }),
    };
  } catch (error) {
    // It may have been meant as a path.
    const isNowhere = error instanceof HubError && [null, 401, 404].includes(error.status);
    if (!isNowhere) throw error;
    const message = `${name} is no file or folder here, and ${error.message}`;
    throw new HubError(message, error.status, { cause: error });
  }
}

async function fromHub(name: HubModelName, how: Locating) {
  const { offline = false, reporter, interruption } = how;
  const users = userHub(offline, interruption.signal);
  if (users.hub === null) return await fromCache(name, users);
  const { hub, cache } = users;
  const signal = interruption.saying("stopped; the same command goes on with the download");
  const title = writtenModelName(name);
  try {
    return await downloadModel(hub, name, {
      needed: neededFiles,
      onBegin(commit, bytes) {
        const facts = `commit ${commit.slice(0, SHORT)}, ${formatBytes(bytes)}`;
        reporter.note(`downloading ${title} (${facts}) from ${hub.endpoint} to ${cache}`);
      },
      onBytes(done, total) {
        reporter.progress(`downloading ${title} (${formatBytes(total)})`, done, total);
        signal.throwIfAborted();
      },
    });
  } catch (error) {
    // What was cut off fails in some way or other.
    signal.throwIfAborted();
    if (!(error instanceof HubUnreachableError)) throw withWayOn(error, SAME_COMMAND);
    const found = await cachedModel(cache, name);
    if (found === null) throw error;
    reporter.note(
      `${error.message}; it is taken from the cache (commit ${found.commit.slice(0, SHORT)})`,
    );
    return found;
  } finally {
    reporter.stop();
  }
}

async function fromCache(name: HubModelName, { cache }: UserHub) {
  const found = await cachedModel(cache, name);
  if (found !== null) return found;
  throw new HubError(
    `${
      writtenModelName(name)
    } is not in the cache of Hugging Face (${cache}), and nothing is to be downloaded (--offline)`,
  );
}
