import { staysWithin } from "./revision.ts";

/**
 * A model of the hub as people write it: `owner/name`, `owner/name@revision`, `owner/name:file`.
 */
export interface HubModelName {
  /** `owner/name`. */
  readonly repository: string;
  /** A branch, a tag or a commit; null for the branch main. */
  readonly revision: string | null;
  /** Path of the file that holds the model; null for the repository as a folder. */
  readonly file: string | null;
}

const NAME = /^([a-z\d][\w.-]*\/[a-z\d_][\w.-]*)(?:@([^@:\s]+))?(?::([^:\s]+\.(?:gguf|onnx)))?$/i;
/** What is called so is a file that was to be here. */
const FILE = /\.(gguf|onnx|safetensors|json|txt)$/i;

/** Reads the name of a model; null for what is none, such as most paths. */
export function hubModelName(text: string): HubModelName | null {
  const [, repository, revision = null, file = null] = NAME.exec(text) ?? [];
  if (repository === undefined || FILE.test(repository)) return null;
  return [revision, file].every((part) => part === null || staysWithin(part))
    ? { repository, revision, file }
    : null;
}

/** How a model is written. */
export function writtenModelName({ repository, revision, file }: HubModelName): string {
  return repository + (revision === null ? "" : `@${revision}`) + (file === null ? "" : `:${file}`);
}
