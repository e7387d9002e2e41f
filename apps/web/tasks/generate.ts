import type { Backend } from "@lopper/backends";
import { type Model, openModel } from "@lopper/models";
import { Decoder, generate as generated, LaidOutWeights } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import { openEngine } from "./engines.ts";
import type { Tasks } from "./protocol.ts";
import { StoredRun } from "./runs.ts";

/** As `lopper generate` has them. */
const SAMPLING = { maxTokens: 64, temperature: 0.7, seed: 42 } as const;

/** Continues a text with the dense model and with the pruned one, and tells each word by word. */
export async function generate(
  { run: id, prompt }: Tasks["generate"]["given"],
  tell: (told: Tasks["generate"]["told"]) => void,
): Promise<null> {
  const run = await StoredRun.open(id);
  await using backend = await openEngine();
  {
    using dense = await openModel(await run.model());
    await continued(dense, backend, prompt, (text) => tell({ by: "dense", text }));
  }
  using pruned = await (await run.store()).reopen();
  await continued(pruned, backend, prompt, (text) => tell({ by: "pruned", text }));
  return null;
}

async function continued(
  model: Model,
  backend: Backend,
  prompt: string,
  tell: (text: string) => void,
) {
  using tokenizer = await openTokenizer(model.folder);
  const given = await tokenizer.encode(prompt);
  // The end of a long text is what matters for how it goes on.
  const ids = given.slice(-Math.floor(model.architecture.maxPositions / 2));
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const before = (await tokenizer.decode(ids)).length;
  const all = [...ids];
  tell("");
  for await (const id of generated(decoder, ids, SAMPLING)) {
    all.push(id);
    const text = await tokenizer.decode(all);
    // A character may be several tokens.
    if (!text.endsWith("\uFFFD")) tell(text.slice(before));
  }
}
