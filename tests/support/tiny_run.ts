import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { doneHere } from "./in_process.ts";
import { Random } from "./tiny_models.ts";
import { withTokenizer } from "./with_tokenizer.ts";

/**
 * Random models of four layers, with groups and channels enough to narrow: a Llama, or an OLMo 2,
 * whose norms lie behind its blocks. They are files, since tests count on what a search finds.
 */
const MODELS = { pre: "llama", post: "olmo2" } as const;
const FIXTURES = fileURLToPath(new URL("../fixtures/tiny_run", import.meta.url));

/** Writes a tiny model that takes any text into a folder. */
async function writeTinyModel(path: string, placement: "pre" | "post"): Promise<void> {
  const folder = new FileFolder(join(FIXTURES, MODELS[placement]));
  using model = await openModel(folder);
  await Deno.mkdir(path, { recursive: true });
  for (const source of [folder, withTokenizer(model)]) {
    for (const file of await source.list()) {
      await Deno.writeFile(join(path, file), await source.readBytes(file, 1e9));
    }
  }
}

/** Text of a vocabulary of its own, so that there is something to score. */
function tinyText(samples: number, seed: number): string {
  const random = new Random(seed);
  const words = Array.from(
    { length: 12 },
    () => Array.from({ length: random.int(1, 6) }, () => "abcdefgh"[random.int(0, 7)]).join(""),
  );
  const sample = () =>
    JSON.stringify({ text: Array.from({ length: 12 }, () => random.pick(words)).join(" ") });
  return Array.from({ length: samples }, sample).join("\n") + "\n";
}

/**
 * A tiny model, a text to calibrate it on and one to measure it on, in a folder.
 * @returns arguments of `prune`, with which a run takes half a second; a process of its own would
 *   take longer to start.
 */
export async function writeTinyRun(
  folder: string,
  placement: "pre" | "post" = "pre",
): Promise<readonly string[]> {
  const [model, text, heldOut] = ["model", "text.jsonl", "held_out.jsonl"]
    .map((name) => join(folder, name));
  await writeTinyModel(model, placement);
  await Deno.writeTextFile(text, tinyText(120, 1));
  await Deno.writeTextFile(heldOut, tinyText(3, 2));
  return [model, "--calibration", text, "--held-out", heldOut, "--samples", "4", "--seq-len", "16"];
}

/** Prunes in this process, and returns what it prints. */
export function pruneHere(args: readonly string[]): Promise<string> {
  return doneHere(["prune", ...args, "--backend", "cpu"]);
}
