/**
 * Runs a benchmark and keeps its raw rounds in results/: `deno task bench NAME [options]`.
 * README.md says what each measured. Nothing else should run on the machine meanwhile.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { benchBefore } from "./bench_before.ts";
import { benchCompetition } from "./bench_competition.ts";
import { benchElimination } from "./bench_elimination.ts";
import { benchEstimate } from "./bench_estimate.ts";
import { benchFast } from "./bench_fast.ts";
import { benchForward } from "./bench_forward.ts";
import { benchGrowth } from "./bench_growth.ts";
import { benchHangs } from "./bench_hangs.ts";
import { benchParity } from "./bench_parity.ts";
import { benchReplay } from "./bench_replay.ts";
import { benchRequantise } from "./bench_requantise.ts";
import { benchRivals } from "./bench_rivals.ts";
import { benchSearch, type SearchCase } from "./bench_search.ts";
import { benchTasks } from "./bench_tasks.ts";
import { benchTechniques } from "./bench_techniques.ts";
import { benchText } from "./bench_text.ts";
import { benchWikitext } from "./bench_wikitext.ts";
import { DEMO } from "./harness.ts";
import { benchQuality } from "./quality/bench_quality.ts";
import { qualityCase } from "./quality/cases.ts";
import { writeQualityPage } from "./quality/page.ts";

const USAGE = `usage: deno task bench NAME [options]

  forward      forward + NLL throughput of the engines, and of PyTorch with --python
  search       exhaustive, fast, and with --python, --published and --code the published search
  fast         what fast saves and loses, over three seeds
  hangs        WebAssembly on two threads on a busy machine, --rounds times: none may hang or differ
  replay       races over the scores that fast's exhaustive run left in --work (--smollm2), many seeds
  techniques   each technique of the fast search alone
  competition  what the default search saves by a threshold, over seeds (--rounds)
  growth       cost against layers, width, calibration tokens and ratio
  elimination  one MLP's channels in order by what the others cannot make up for (--wide)
  requantise   a quantised source (--gguf), pruned and quantised again
  before       seconds and memory of this checkout and of another (--before): the embedded model, or a few
               steps of each --model
  estimate     what large models would take, on paper (--gflops, --fast-factor)
  parity       lopper evaluate against lm-evaluation-harness, request by request (--python, --data)
  tasks        requests per second on HellaSwag, and of lm-evaluation-harness (--python, --data)
  quality      perplexities and zero-shot tasks of pruned models (--smollm2, --qwen or --gemma, --data);
               without any, only the page of the results that there are
  rivals       other training-free methods on one text (--smollm2, --python, --rivals, --ratios, --work)
  text         how much text a run needs, and of what kind (--data; --rounds: seeds)
  wikitext     perplexity of WikiText-2 under SmolLM2, and by PyTorch (--python, --data)

  --smollm2 DIR     measure SmolLM2-135M (convert_smollm2.py writes it) instead of the embedded model
  --qwen DIR        for quality: Qwen2.5-Coder-0.5B (convert_qwen.py writes it)
  --gemma DIR       for quality: Gemma-3-270M (convert_gemma.py writes it)
  --before DIR      another checkout of Lopper
  --model PATH      for before: a model's folder or file; may be given several times
  --gguf FILE       a quantised GGUF file
  --rounds N        rounds of each variant, or seeds of each technique (default: 3)
  --python FILE     a Python with what requirements.txt names
  --published FILE  a script: FILE CODE MODEL TEXTS.json OUT.json [flags of the published search]
  --rivals DIR      scripts of the other methods: make_texts, stats, methods, local, evaluate
  --ratios N,N      for rivals, per cent of the parameters that go (default: 20,30)
  --code DIR        the published run_multipruner.py and utils.py
  --work DIR        where "fast" and "quality" keep their runs (default: lopper-bench)
  --data DIR        folder of the tasks' data sets (scripts/oracles/harness_tasks.py names the files)
  --limit N         requests of each task for parity, questions for tasks (default: 200)
  --wide            for elimination: 11,008 channels, too
  --text NAME       what quality calibrates on: alpaca (default), self (Alpaca and the model's own
                    text) or mixed (Alpaca and WikiText-2, the only one for --qwen and --gemma)`;

/** Whole searches of the embedded model, and a few steps of every stage of a larger one. */
const DEMO_CASE: SearchCase = {
  name: "demo",
  model: DEMO,
  samples: { block: 24, width: 12 },
  seqLen: 256,
  ratio: 20,
  distribution: "44:52:4",
  mlpGroup: 32,
  attentionGroup: 96,
};
const SMOLLM2_STEPS = {
  name: "smollm2",
  samples: { block: 8, width: 6 },
  seqLen: 512,
  ratio: 1.4,
  distribution: "30:50:20",
  mlpGroup: 256,
  attentionGroup: 192,
};
/**
 * A whole search of SmolLM2-135M that an exhaustive one gets through in an hour: little text in
 * many sequences, large groups, and one of the published distributions for models with grouped KV
 * heads.
 */
const SMOLLM2_WHOLE = {
  ...SMOLLM2_STEPS,
  samples: { block: 32, width: 16 },
  seqLen: 128,
  ratio: 20,
  distribution: "10:90:0",
  mlpGroup: 512,
  // By L1 norms of weights a first group of channels ruins this model (perplexity 224 at 20 %), and
  // chance decides the rest.
  ranking: "energy",
};
const TEXT_SIZES = { ratio: 20, seqLen: 256, sizes: [8, 16, 32, 64, 128, 400], kindSize: 32 };
const SEEDS = [1, 2, 3];
const REPLAYED_SEEDS = 20;

const { values: flags, positionals: [name] } = parseArgs({
  allowPositionals: true,
  options: {
    smollm2: { type: "string" },
    qwen: { type: "string" },
    gemma: { type: "string" },
    rounds: { type: "string", default: "3" },
    python: { type: "string" },
    published: { type: "string" },
    code: { type: "string" },
    work: { type: "string", default: "lopper-bench" },
    rivals: { type: "string" },
    ratios: { type: "string", default: "20,30" },
    before: { type: "string" },
    model: { type: "string", multiple: true, default: [] },
    gguf: { type: "string" },
    gflops: { type: "string" },
    "fast-factor": { type: "string" },
    data: { type: "string" },
    limit: { type: "string", default: "200" },
    text: { type: "string", default: "alpaca" },
    wide: { type: "boolean", default: false },
  },
});
const { smollm2, qwen, gemma, python, published: script, code } = flags;
const rounds = Number(flags.rounds);
const published = python && script && code ? { python, script, code } : undefined;

switch (name) {
  case "forward":
    await benchForward({
      name: smollm2 ? "smollm2" : "demo",
      model: smollm2 ?? DEMO,
      lengths: smollm2 ? [512, 2048] : [512, 1024],
      tokens: smollm2 ? 2048 : 8192,
      rounds,
      python,
    });
    break;
  case "search":
    await benchSearch(
      smollm2 ? { ...SMOLLM2_STEPS, model: smollm2 } : DEMO_CASE,
      rounds,
      published,
    );
    break;
  case "fast":
    await benchFast(smollm2 ? { ...SMOLLM2_WHOLE, model: smollm2 } : DEMO_CASE, SEEDS, flags.work);
    break;
  case "hangs":
    await benchHangs(rounds);
    break;
  case "replay":
    await benchReplay(
      smollm2 ? { ...SMOLLM2_WHOLE, model: smollm2 } : DEMO_CASE,
      REPLAYED_SEEDS,
      flags.work,
    );
    break;
  case "techniques":
    await benchTechniques(DEMO_CASE, SEEDS.slice(0, rounds));
    break;
  case "competition":
    await benchCompetition(rounds);
    break;
  case "growth":
    await benchGrowth();
    break;
  case "elimination":
    await benchElimination(rounds, flags.wide);
    break;
  case "requantise":
    if (!flags.gguf) {
      console.error("requantise needs --gguf FILE");
      Deno.exit(2);
    }
    await benchRequantise(flags.gguf);
    break;
  case "quality": {
    if (!smollm2 && !qwen && !gemma && !flags.data) {
      console.log(await writeQualityPage());
      break;
    }
    const model = smollm2 ?? qwen ?? gemma;
    const of = qualityCase(smollm2 ? "smollm2" : qwen ? "qwen" : "gemma", flags.text);
    if (!model || !flags.data || !of) {
      console.error(
        '"quality" needs --data and --smollm2 with --text alpaca, self or mixed, or --qwen or --gemma with --text mixed',
      );
      Deno.exit(2);
    }
    await benchQuality({ ...of, model, data: flags.data }, flags.work);
    break;
  }
  case "text":
    if (!flags.data) {
      console.error('"text" needs --data');
      Deno.exit(2);
    }
    await benchText({
      ...TEXT_SIZES,
      ...(smollm2 ? { name: "smollm2", model: smollm2 } : { name: "demo", model: DEMO }),
      data: flags.data,
      seeds: Array.from({ length: rounds }, (_, i) => i + 1),
    });
    break;
  case "rivals":
    if (!smollm2 || !python || !flags.rivals) {
      console.error('"rivals" needs --smollm2, --python and --rivals');
      Deno.exit(2);
    }
    await benchRivals({
      model: resolve(smollm2),
      python,
      scripts: flags.rivals,
      work: resolve(flags.work),
      ratios: flags.ratios.split(",").map(Number),
    });
    break;
  case "before":
    if (!flags.before) {
      console.error('"before" needs --before DIR');
      Deno.exit(2);
    }
    await benchBefore(flags.before, flags.model.map((model) => resolve(model)), rounds);
    break;
  case "estimate":
    await benchEstimate({
      laptopGflops: Number(flags.gflops),
      fastFactor: Number(flags["fast-factor"]),
    });
    break;
  case "parity": {
    if (!python || !flags.data) throw new Error("parity needs --python and --data");
    const models = [{ name: "embedded", folder: DEMO }];
    if (smollm2) models.push({ name: "SmolLM2-135M", folder: smollm2 });
    await benchParity({ models, python, data: flags.data, requests: Number(flags.limit) });
    break;
  }
  case "tasks":
    if (!python || !flags.data) throw new Error("tasks needs --python and --data");
    await benchTasks({
      name: smollm2 ? "smollm2" : "demo",
      model: smollm2 ?? DEMO,
      task: "hellaswag",
      file: `${flags.data}/hellaswag/hellaswag_val_raw_sample.jsonl.gz`,
      questions: Number(flags.limit),
      rounds,
      python,
    });
    break;
  case "wikitext":
    if (!python || !flags.data) throw new Error("wikitext needs --python and --data");
    await benchWikitext({ python, data: flags.data });
    break;
  default:
    console.error(USAGE);
    Deno.exit(2);
}
