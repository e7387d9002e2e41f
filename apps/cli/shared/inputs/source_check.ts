import { SourceChangedError } from "@lopper/core";
import type { SourceWatch } from "@lopper/files";
import { modelDigest } from "@lopper/models";
import { type Located, openLocated, TOLD } from "./open_model.ts";

/**
 * A result is one of the model that its files held all the time.
 * @param digest of the model when the work began.
 * @throws {SourceChangedError} naming a file that went or holds something else than in the
 *   beginning.
 */
export async function checkUnchanged(
  watch: SourceWatch,
  source: Located,
  digest: string,
): Promise<void> {
  const files = await watch.changed();
  if (files.length === 0) return;
  const [file] = files.filter(({ how }) => how !== "touched");
  if (file) throw changed(file.path, file.how === "gone" ? "is gone" : "was changed");
  // Whatever is as long as it was, and begins so: the weights say the rest.
  using model = await openLocated(source, TOLD);
  if (await modelDigest(model) !== digest) throw changed(files[0].path, "was changed");
}

function changed(path: string, what: string): SourceChangedError {
  return new SourceChangedError(
    `${path} ${what} while the model was worked on, so there is no result; put back what it was and go on, or begin anew`,
  );
}
