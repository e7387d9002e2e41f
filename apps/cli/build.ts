/** What a release is: bundled by `scripts/release`, with all that it needs beside it. */
export interface Build {
  /** One file with a runtime in it, or a package that Node runs. */
  readonly kind: "binary" | "npm";
  /** Of the sources. */
  readonly commit: string;
  /** The system that a binary is for. */
  readonly target: string | null;
  /** Packages that are in it. */
  readonly packages: readonly BundledPackage[];
  /** Files of the native engine that a binary carries; null where it carries none. */
  readonly engine: CarriedEngine | null;
}

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** By its SPDX name. */
  readonly licence: string;
  /** It runs models. */
  readonly isEngine: boolean;
}

/** Native files, which a system loads only from a disk. */
export interface CarriedEngine {
  /** A folder's name that no other version of the files has. */
  readonly name: string;
  /** Where they lie in the program, from its modules. */
  readonly folder: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** Null in a checkout. */
let own: Build | null = null;

/** Says what this program is, before anything asks; a checkout says nothing. */
export function startAs(build: Build | null) {
  own = build;
}

export function ownBuild(): Build | null {
  return own;
}
