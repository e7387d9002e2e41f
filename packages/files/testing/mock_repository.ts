import { createHash } from "node:crypto";

/** Files by their paths. */
export type Files = Readonly<Record<string, Uint8Array>>;

/** What a mock hub holds under a name. */
export interface MockContent {
  /** Files by branch and path. */
  readonly branches: Readonly<Record<string, Files>>;
  /** The token without which it is refused. */
  readonly token?: string;
  /** Its terms have to be accepted, which nobody did. */
  readonly isGated?: boolean;
}

/** What is stored apart, as the hub does with weights and what else is large. */
const LARGE = /\.(safetensors|gguf|onnx|onnx_data|parquet|bin)$/;

/** An entry of the list of files (huggingface.co/docs/hub/api). */
export interface MockEntry {
  type: string;
  path: string;
  size: number;
  oid: string;
  lfs?: { oid: string; size: number; pointerSize: number };
}

/** A repository of a mock hub: commits, and branches that lead to them. */
export class MockRepository {
  readonly token: string | undefined;
  readonly isGated: boolean;
  readonly branches = new Map<string, string>();
  /** Of commits that were posted. */
  readonly messages: string[] = [];
  visibility = "public";
  readonly #commits = new Map<string, Files>();

  constructor({ branches, token, isGated = false }: MockContent) {
    this.token = token;
    this.isGated = isGated;
    for (const [branch, files] of Object.entries(branches)) this.commit(branch, files);
  }

  /** Moves a branch to a commit of these files, and gives its name. */
  commit(branch: string, files: Files): string {
    const entries = Object.entries(files).map(([path, bytes]) => path + gitDigest(bytes)).sort();
    const commit = createHash("sha1").update(entries.join("\n")).digest("hex");
    this.#commits.set(commit, files);
    this.branches.set(branch, commit);
    return commit;
  }

  /** The files at a branch or a commit; undefined where there is none. */
  files(revision: string): Files | undefined {
    return this.#commits.get(this.branches.get(revision) ?? revision);
  }
}

export function isLarge(path: string): boolean {
  return LARGE.test(path);
}

export function entryOf(path: string, bytes: Uint8Array): MockEntry {
  const size = bytes.byteLength;
  const lfs = { oid: sha256Of(bytes), size, pointerSize: 130 };
  return { type: "file", path, size, oid: gitDigest(bytes), ...isLarge(path) && { lfs } };
}

export function refused(status: number, code: string): Response {
  return Response.json({ error: code }, { status, headers: { "x-error-code": code } });
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function gitDigest(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex");
}
