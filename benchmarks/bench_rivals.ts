/**
 * Other training-free structured methods beside Lopper, on one calibration text and with the same
 * share of all parameters gone: perplexities of windows of 2048 tokens, by one forward pass in
 * PyTorch for all of them. The methods are scripts of their own, written from their papers. What is
 * there of an earlier call stays.
 */
import { type Estimate, perplexityRatio } from "@lopper/evaluation";
import { join } from "node:path";
import { exists, lopper, markdownTable, mean, output, save } from "./harness.ts";

export interface RivalsOptions {
  /** SmolLM2-135M. */
  readonly model: string;
  readonly python: string;
  /** Folder of the scripts. */
  readonly scripts: string;
  /** Where texts, statistics, models and losses are kept. */
  readonly work: string;
  /** Per cent of all parameters that go. */
  readonly ratios: readonly number[];
}

const WINDOWS = 8;
const TEXTS = { wt2: "WikiText-2", c4: "C4" } as const;
type Text = keyof typeof TEXTS;
/** Parts of the statistics of the dense model. */
const PARTS = 3;

/** Methods by what their scripts call them; some are followed by a local refit. */
const METHODS: Readonly<Record<string, { readonly name: string; readonly refitted?: true }>> = {
  "2ssp": { name: "2SSP", refitted: true },
  obs0: { name: "OBS, channels alone, uniform, with its refit" },
  flap: { name: "FLAP" },
  wanda0: { name: "Wanda-sp, channels alone" },
  modegpt: { name: "like MoDeGPT" },
};

/** A pruned model. */
interface Contender {
  /** By which its files are found. */
  readonly id: string;
  readonly name: string;
}

interface Measured extends Contender {
  /** Of the parameters, in per cent. */
  readonly removed: number;
  /** From the dense model, or its statistics, to the pruned one. */
  readonly seconds: number;
  /** Mean loss of each window in nats per token. */
  readonly nll: Readonly<Record<Text, readonly number[]>>;
}

/** Runs what is not there yet, and prints a table for each ratio. */
export async function benchRivals(options: RivalsOptions) {
  const { model, scripts, work, python, ratios } = options;
  await Deno.mkdir(join(work, "m"), { recursive: true });
  const env = { MODEL: model, WORK: work, THREADS: String(navigator.hardwareConcurrency) };
  const run = (script: string, ...args: readonly string[]) =>
    output(python, [join(scripts, `${script}.py`), ...args], { env });
  if (!await exists(join(work, "w.jsonl"))) await run("make_texts");
  const began = performance.now();
  for (let part = 0; part < PARTS; part++) {
    if (await exists(join(work, `stats${part}.pt`))) continue;
    console.error(`statistics of the dense model, ${part + 1} of ${PARTS}`);
    await run("stats", String(part), String(PARTS));
  }
  const statisticsSeconds = (performance.now() - began) / 1000;
  const results: Record<string, readonly Measured[]> = {};
  const dense = { id: "dense", name: "dense" };
  for (const ratio of ratios) {
    const contenders = [
      await lopperAt(ratio, "lopper", options, run),
      await lopperAt(ratio, "quick", options, run),
      ...await rivalsAt(ratio, options, run),
    ];
    console.error(`windows of ${contenders.length} models without ${ratio} %`);
    const ids = [dense, ...contenders].map(({ id }) => id);
    await run("evaluate", Object.keys(TEXTS).join(), "0", String(WINDOWS), ...ids);
    results[ratio] = await Promise.all([dense, ...contenders].map((c) => measured(c, work)));
  }
  await save("rivals", { windows: WINDOWS, statisticsSeconds, results });
  for (const [ratio, [denseOne, ours, ...others]] of Object.entries(results)) {
    console.log(`\nWithout ${ratio} % of all parameters:\n\n${table(denseOne, ours, others)}`);
  }
}

type RunScript = (script: string, ...args: readonly string[]) => Promise<string>;

async function lopperAt(
  ratio: number,
  preset: "lopper" | "quick",
  { model, work }: RivalsOptions,
  run: RunScript,
): Promise<Contender> {
  const id = `${preset}-${ratio}`, out = join(work, id);
  if (!await exists(join(out, "run.json"))) {
    console.error(`Lopper, --preset ${preset}, ${ratio} %`);
    const texts = ["a.jsonl", "w.jsonl"].flatMap((file) => ["--calibration", join(work, file)]);
    const how = ["--preset", preset, "--ratio", String(ratio), "--out", out];
    await lopper(["prune", model, ...texts, ...how]);
  }
  if (!await exists(join(work, `m/${id}.json`))) {
    await run("from_lopper", out, id);
    const file = join(work, `m/${id}.json`);
    const { wallSeconds: seconds } = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    const said = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...said, seconds }));
  }
  return { id, name: preset === "lopper" ? "Lopper" : `Lopper, \`--preset ${preset}\`` };
}

async function rivalsAt(
  ratio: number,
  { work }: RivalsOptions,
  run: RunScript,
): Promise<readonly Contender[]> {
  const contenders: Contender[] = [];
  const isThere = (id: string) => exists(join(work, `m/${id}.json`));
  for (const [method, { name, refitted }] of Object.entries(METHODS)) {
    const id = `${method}-${ratio}`, local = `${id}-local`;
    console.error(`${name}, ${ratio} %`);
    if (!await isThere(id)) await run("methods", method, String(ratio));
    contenders.push({ id, name });
    if (!refitted) continue;
    if (!await isThere(local)) await run("local", id, local, "lam=0.1");
    contenders.push({ id: local, name: `${name} and a local refit` });
  }
  return contenders;
}

async function measured(contender: Contender, work: string): Promise<Measured> {
  const json = async (file: string) => JSON.parse(await Deno.readTextFile(join(work, file)));
  const { id } = contender;
  const { removed, seconds } = id === "dense"
    ? { removed: 0, seconds: 0 }
    : await json(`m/${id}.json`);
  const losses = async (text: Text): Promise<readonly number[]> =>
    await Promise.all(Array.from({ length: WINDOWS }, async (_, window) => {
      const { nll, tokens } = await json(`nll/${id}.${text}.${window}.json`);
      return nll / tokens;
    }));
  return {
    ...contender,
    ...{ removed, seconds },
    nll: { wt2: await losses("wt2"), c4: await losses("c4") },
  };
}

/** Best first; a rival's perplexity over Lopper's with its paired interval. */
function table(dense: Measured, ours: Measured, others: readonly Measured[]): string {
  const over = ({ value, low, high }: Estimate) =>
    `${value.toFixed(2)} × [${low!.toFixed(2)}, ${high!.toFixed(2)}]`;
  const rows = [dense, ours, ...others.toSorted((a, b) => mean(a.nll.wt2) - mean(b.nll.wt2))];
  return markdownTable(
    ["", "gone", ...Object.values(TEXTS).flatMap((name) => [name, "over Lopper's"]), "seconds"],
    rows.map((row) => [
      row.name,
      `${row.removed.toFixed(2)} %`,
      ...(Object.keys(TEXTS) as Text[]).flatMap((text) => [
        Math.exp(mean(row.nll[text])).toFixed(2),
        others.includes(row) ? over(perplexityRatio(ours.nll[text], row.nll[text])) : "",
      ]),
      row === dense ? "" : row.seconds.toFixed(0),
    ]),
  );
}
