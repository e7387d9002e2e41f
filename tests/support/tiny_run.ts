import { openModel } from "@lopper/model-io";
import { join } from "node:path";
import { pruneCommand } from "../../apps/cli/commands/prune.ts";
import { Random, tinyModel } from "./tiny_models.ts";
import { withTokenizer } from "./with_tokenizer.ts";

/** Of four layers, with groups and channels enough to narrow: a Llama. */
const SEED = 31;

/** Writes a tiny model that takes any text into a folder. */
export async function writeTinyModel(path: string): Promise<void> {
  const folder = await tinyModel(new Random(SEED), { vocabSize: 256, normSpread: 3 });
  await Deno.mkdir(path, { recursive: true });
  for (const source of [folder, withTokenizer(await openModel(folder))]) {
    for (const file of await source.list()) {
      await Deno.writeFile(join(path, file), await source.readBytes(file, 1e9));
    }
  }
}

/** Text of a vocabulary of its own, so that there is something to score. */
export function tinyText(samples: number, seed: number): string {
  const random = new Random(seed);
  const words = Array.from(
    { length: 12 },
    () => Array.from({ length: random.int(1, 6) }, () => "abcdefgh"[random.int(0, 7)]).join(""),
  );
  const sample = () =>
    JSON.stringify({ text: Array.from({ length: 12 }, () => random.pick(words)).join(" ") });
  return Array.from({ length: samples }, sample).join("\n") + "\n";
}

/** Prunes in this process, and returns what it prints. */
export async function pruneHere(args: readonly string[]): Promise<string> {
  const printed: string[] = [];
  const { log, error } = console;
  console.log = console.error = (...values: unknown[]) => void printed.push(values.join(" "));
  try {
    const command = pruneCommand().exitOverride();
    await command.parseAsync([...args, "--backend", "cpu", "--threads", "1"], { from: "user" });
  } finally {
    Object.assign(console, { log, error });
  }
  return printed.join("\n");
}
