import { fileURLToPath } from "node:url";

/** Data that stands beside a developer's checkout and nowhere else. */
const SHARED = new URL("../../../shared/", import.meta.url);

/**
 * The path of a file or folder there, or null with a line that says what is skipped for want of it.
 */
export function sharedPath(path: string, what: string): string | null {
  const full = fileURLToPath(new URL(path, SHARED));
  try {
    Deno.statSync(full);
    return full;
  } catch {
    console.log(`skipped: ${what} needs ../shared/${path}, which is not on this machine`);
    return null;
  }
}
