import { createHash, type Hash } from "node:crypto";
import type { HubFile } from "./revision.ts";

/** Begins a digest of the kind that a hub lists for a file: SHA-256, or git's SHA-1 of a blob. */
export function beginDigest({ size, digest }: HubFile): Hash {
  if (digest.length === 64) return createHash("sha256");
  // What git takes the digest of begins with the kind and the size.
  return createHash("sha1").update(`blob ${size}\0`);
}
