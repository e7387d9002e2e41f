/**
 * Draws what a run left of each layer: docs/layers.svg, the picture in README.md, from the folder
 * of a run.
 *
 * Usage: deno task prune --ratio 40 --out DIR && deno run --allow-read --allow-write
 * scripts/layers_picture.ts DIR
 */
import { parsePlanFile } from "@lopper/models";
import { removedPicture } from "@lopper/report";
import { parseRunRecord } from "@lopper/run";
import { join } from "node:path";

const PICTURE = new URL("../docs/layers.svg", import.meta.url);

if (import.meta.main) {
  const read = async (name: string) => {
    const path = join(Deno.args[0] ?? "lopper-demo-pruned", name);
    return [await Deno.readTextFile(path), path] as const;
  };
  const record = await parseRunRecord(...await read("run.json"));
  const file = parsePlanFile(...await read("lopper_plan.json"));
  const plan = file.kind === "plan" ? file.plan : null;
  await Deno.writeTextFile(PICTURE, removedPicture({ record, plan }));
}
