import { VERSION } from "@lopper/core";
import { join } from "node:path";
import { ROOT } from "./root.ts";

/** Packages of the workspace that do not have the version which results record. */
export async function otherVersions(): Promise<readonly string[]> {
  const others: string[] = [];
  for (const folder of ["packages", "apps"]) {
    for await (const { name } of Deno.readDir(join(ROOT, folder))) {
      const file = join(folder, name, "deno.json");
      const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, file)));
      if (version !== VERSION) others.push(`${file} (${version})`);
    }
  }
  return others;
}
