import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import {
  checkDecided,
  checkPerplexities,
  type DecidedStep,
  openGoldenCase,
} from "./golden_case.ts";
import { HELD_OUT } from "./cli.ts";
import { runHere } from "./in_process.ts";

interface JournalLine extends DecidedStep {
  readonly type: string;
  readonly candidates: readonly { readonly ppl: number }[];
}

/** Runs a golden case through the command line and holds it against the published decisions. */
export async function checkGoldenCase(
  name: string,
  backend: "cpu" | "wasm",
  tolerance: number,
  folder: string,
): Promise<void> {
  const opened = await openGoldenCase(name);
  if (!opened) return;
  const { golden, model } = opened;
  const { texts, flags } = golden;
  for (const kind of ["block", "width"] as const) {
    const lines = texts[kind].map((text) => JSON.stringify({ text }) + "\n").join("");
    await Deno.writeTextFile(`${folder}/${kind}.jsonl`, lines);
  }
  const { code, stderr } = await runHere([
    ...["prune", model, "--preset", "multipruner", "--search", "exhaustive"],
    ...["--ratio", String(flags.target_ratio), "--distribution", flags.pruning_distribution],
    ...["--mlp-group", String(flags.mlp_channel_group_size)],
    ...["--attention-group", String(flags.attn_channel_group_size)],
    ...["--calibration", "block.jsonl", "--calibration-width", "width.jsonl"],
    ...["--samples", String(texts.block.length), "--width-samples", String(texts.width.length)],
    ...["--seq-len", String(golden.seqlen), "--backend", backend, "--out", "out"],
    // What is left is measured on it after every step, and nothing is decided by it.
    ...["--held-out", HELD_OUT],
  ], folder);
  assert.equal(code, 0, stderr);

  const journal: JournalLine[] = (await Deno.readTextFile(`${folder}/out/journal.jsonl`))
    .trimEnd().split("\n").map((line) => JSON.parse(line))
    .filter(({ type }) => type === "step");
  using dense = await openModel(new FileFolder(model));
  checkDecided(journal, golden, dense.architecture, tolerance);
  const found = journal.flatMap(({ candidates }) => candidates.map(({ ppl }) => ppl));
  const worst = checkPerplexities(found, golden.candidate_ppl, tolerance);
  console.log(
    `${name} on ${backend}: ${journal.length} steps, ${found.length} candidates, worst perplexity off by ${
      worst.toExponential(1)
    }`,
  );
  assert.equal(
    await Deno.readTextFile(`${folder}/out/pruning_config.json`),
    JSON.stringify(golden.pruning_config, null, 4),
  );
}
