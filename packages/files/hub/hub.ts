/** The hub that a user has: where it is, what opens it, and where what comes from it is kept. */
export interface Hub {
  /** Address without a slash at the end. */
  readonly endpoint: string;
  /** What opens what is not for everyone. */
  readonly token: string | null;
  /** Folder of the cache. */
  readonly cache: string;
  readonly fetch?: typeof fetch;
  /** Ends what is asked for, and waiting. */
  readonly signal?: AbortSignal;
  /** Waits so many milliseconds before a further attempt. */
  readonly wait?: (ms: number) => Promise<void>;
  /** Milliseconds without a byte after which a connection counts as cut. */
  readonly silence?: number;
}

/** What a hub keeps under a name. */
export interface Repository {
  readonly type: "model" | "dataset";
  /** `owner/name`. */
  readonly name: string;
}

/** What is asked for, in the words of an error. */
export interface Asked {
  readonly repository: Repository;
  /** A branch, a tag or a commit. */
  readonly revision?: string;
  readonly path?: string;
  /** It is not to be read, but written. */
  readonly isWritten?: true;
}
