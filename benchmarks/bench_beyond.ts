/**
 * Takes a model that is larger than a budget of memory through what a run does, each part in a
 * process of its own: how long it took, the most resident memory that it had, and the bytes that it
 * read, as Linux counts them. A search is interrupted, as by Ctrl-C, when its first step is
 * recorded, and a recovery when its first refit is.
 *
 * Usage: deno run -A benchmarks/bench_beyond.ts MODEL NAME [--memory 10GB] [--only CASE,…]
 *        NAME: results/beyond-NAME.json, to which cases are added
 *        --only limits: what disk and engine can do, into the same file
 */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { here, inTemporaryFolder, printTable, provenance, samples, script } from "./harness.ts";
import { textOf, type Watched, watchedLopper } from "./watched.ts";

const { values: options, positionals: [model, name, ...rest] } = parseArgs({
  args: Deno.args,
  options: {
    memory: { type: "string", default: "10GB" },
    only: { type: "string" },
  },
  allowPositionals: true,
});
if (!model || !name || rest.length > 0) {
  console.error("usage: bench_beyond.ts MODEL NAME [--memory 10GB] [--only CASE,…]");
  Deno.exit(2);
}

/** What a part of a run took. */
interface Taken extends Watched {
  readonly command: readonly string[];
  /** What of the journal was recorded, without candidates. */
  readonly journal: readonly Readonly<Record<string, unknown>>[];
}

const config = JSON.parse(await Deno.readTextFile(join(model, "config.json")));
const layers: number = config.num_hidden_layers, channels: number = config.intermediate_size;
const SMALL = ["--samples", "2", "--width-samples", "2", "--seq-len", "32"];
/** Large groups: a few candidates of each block. */
const GROUPS = ["--mlp-group", String(channels / 4)];

/** A plan in the published layout that keeps so many channels of each layer. */
const planOf = (width: (layer: number) => number) =>
  JSON.stringify({
    ...{ pruned_attn_idx: [], pruned_mlp_idx: [] },
    pruned_attn_width: byLayer(() => config.num_attention_heads * config.head_dim),
    pruned_mlp_width: byLayer(width),
  });
const byLayer = (width: (layer: number) => number) =>
  Object.fromEntries(Array.from({ length: layers }, (_, layer) => [layer, width(layer)]));
/** The last MLP narrower by an eighth: there is nothing behind it that makes up for it. */
const ONE = planOf((layer) => layer === layers - 1 ? channels * 7 / 8 : channels);
/** Channels of all layers, of which about 10 % of the parameters are. */
const UNIFORM = planOf(() => Math.round(channels * 0.86 / 64) * 64);

interface Case {
  readonly args: readonly string[];
  /** Written to a file that follows `--plan`. */
  readonly plan?: string;
  readonly until?: "step" | "refit";
}
const step = (...args: string[]): Case => ({
  args: ["prune", model, ...args, ...SMALL, "--ratio", "1"],
  until: "step",
});
const applied = (plan: string, recover: string): Case => ({
  args: ["prune", model, ...SMALL, "--recover", recover],
  ...{ plan, until: recover === "none" ? undefined : "refit" },
});
const CASES: Readonly<Record<string, Case>> = {
  inspect: { args: ["inspect", model] },
  "dry run": { args: ["prune", model, "--dry-run", ...SMALL, ...GROUPS] },
  "a step of blocks": step("--preset", "blockpruner"),
  "a step of channels": step("--preset", "width", ...GROUPS),
  "a step of heads": step("--preset", "heads", "--attention-group", "2048"),
  "a block refitted locally": applied(ONE, "local"),
  "a block refitted along the stream": applied(ONE, "auto"),
  "written at 10 %": applied(UNIFORM, "none"),
};

async function taken({ args, plan, until }: Case, folder: string): Promise<Taken> {
  const out = join(folder, "out");
  const prunes = args[0] === "prune";
  const heldOut = join(folder, "held-out.txt");
  const text = join(folder, "text.jsonl");
  const [first, ...others] = (await samples(0, 120)).map((sample) => sample.slice(0, 400));
  await Deno.writeTextFile(heldOut, first);
  await Deno.writeTextFile(text, others.map((text) => JSON.stringify({ text })).join("\n"));
  if (plan) await Deno.writeTextFile(join(folder, "plan.json"), plan);
  const all = [
    ...args,
    ...prunes ? ["--out", out, "--calibration", text, "--held-out", heldOut] : [],
    ...prunes ? ["--memory", options.memory] : [],
    ...plan ? ["--plan", join(folder, "plan.json")] : [],
  ];
  const journal = join(out, "journal.jsonl");
  const { said, ...counted } = await watchedLopper(all, {
    until: until && { type: until, journal },
  });
  return {
    command: ["lopper", ...all.map((arg) => arg.split("/").at(-1)!)],
    ...counted,
    journal: await journalIn(journal),
    said: said.filter((line) => !/%|\u2588|\u2591/.test(line)).slice(-40)
      .map((line) => line.replaceAll(folder, "FOLDER")),
  };
}

async function journalIn(file: string): Promise<Taken["journal"]> {
  const lines = (await textOf(file)).trim().split("\n");
  return lines.filter((line) => line !== "").map((line) => {
    const { type, step, candidates, blockTokens, seconds, cost, kept } = JSON.parse(line);
    return { type, step, candidates: candidates?.length, blockTokens, seconds, cost, kept };
  });
}

const file = here(`results/beyond-${name}.json`);
interface Results {
  readonly cases: Readonly<Record<string, Taken>>;
  /** As `limits.ts` prints it. */
  readonly limits?: Readonly<Record<string, unknown>>;
  /** Where and how. */
  readonly [about: string]: unknown;
}
const results = async (): Promise<Results> => JSON.parse(await textOf(file) || '{"cases":{}}');
const write = (found: Results) => Deno.writeTextFile(file, JSON.stringify(found, null, 1) + "\n");
for (const what of options.only?.split(",") ?? Object.keys(CASES)) {
  console.error(what);
  if (what === "limits") {
    const limits = { ...JSON.parse(await script("limits.ts", [model])), ...await provenance() };
    await write({ ...await results(), limits });
    continue;
  }
  const one = await inTemporaryFolder((folder) => taken(CASES[what], folder));
  const { cases, ...others } = await results();
  await write({
    ...others,
    command: `bench_beyond.ts MODEL ${name} --memory ${options.memory}`,
    memory: options.memory,
    model: { bytes: (await Deno.stat(join(model, "model.safetensors"))).size, layers },
    cases: { ...cases, [what]: { ...await provenance(), ...one } },
  });
}
const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(2);
printTable(
  ["", "seconds", "of processors", "peak GB", "read GB", "of them from disk"],
  Object.entries((await results()).cases).map(([what, { seconds, processorSeconds, ...bytes }]) => [
    ...[what, seconds, processorSeconds, gigabytes(bytes.peakResidentBytes)],
    ...[gigabytes(bytes.readBytes), gigabytes(bytes.fromDiskBytes)],
  ]),
);
