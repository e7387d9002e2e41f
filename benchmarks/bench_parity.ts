/**
 * `lopper evaluate` against lm-evaluation-harness on PyTorch in float32: the same questions, every
 * request's log-likelihood, and what is reported of them. Fails when they differ.
 */
import { fileURLToPath } from "node:url";
import { TASK_FILES, writeQuestions } from "./evaluation_data.ts";
import { inTemporaryFolder, lopper, output, printTable, ROOT, save } from "./harness.ts";

export interface ParityOptions {
  /** Names and folders of the models. */
  readonly models: readonly { readonly name: string; readonly folder: string }[];
  /** A Python that has what scripts/oracles/requirements.txt names. */
  readonly python: string;
  /** Folder of data sets. */
  readonly data: string;
  /** Requests of each task. */
  readonly requests: number;
}

/** Largest difference of a request's log-likelihood, in nats. */
const TOLERANCE = 1e-3;
/** Means of equally many zeros and ones may differ in the order of a sum, no more. */
const SAME = 1e-9;
const TASKS = Object.keys(TASK_FILES);
/** Figures do not depend on it, and one is not in another's way on a busy machine. */
const THREADS = "1";

interface HarnessScores {
  readonly versions: Readonly<Record<string, string>>;
  readonly bos: boolean;
  readonly tasks: Readonly<Record<string, HarnessTask>>;
}

interface HarnessTask {
  /** By question and request: log-likelihood, and whether every token is the likeliest. */
  readonly scores: readonly (readonly (readonly [number, boolean])[])[];
  readonly metrics: Readonly<Record<string, { readonly value: number }>>;
}

interface LopperScores {
  readonly version: string;
  readonly backend: { readonly engine: string; readonly threads: number };
  readonly metrics: ReadonlyMap<string, Readonly<Record<string, { readonly value: number }>>>;
  /** By task and question. */
  readonly questions: ReadonlyMap<string, Question>;
}

interface Question {
  readonly logLikelihoods: readonly number[];
  readonly greedy: readonly boolean[];
}

export async function benchParity(options: ParityOptions): Promise<void> {
  const results = await inTemporaryFolder(async (folder) => {
    const data = `${folder}/data`;
    for (const task of TASKS) await writeQuestions(options.data, task, options.requests, data);
    const found = [];
    for (const { name, folder: model } of options.models) {
      console.error(`${name}: lm-evaluation-harness`);
      const harness = await harnessScores(model, data, `${folder}/${name}.json`, options.python);
      console.error(`${name}: lopper evaluate`);
      const ours = await lopperScores(model, data, `${folder}/${name}`);
      found.push({
        model: name,
        harness: { ...harness.versions, dtype: "float32", bos: harness.bos },
        lopper: { version: ours.version, ...ours.backend },
        tasks: TASKS.map((task) => compareTask(task, harness.tasks[task], ours)),
      });
    }
    return found;
  });
  await save("evaluation-parity", {
    what:
      `the first ${options.requests} requests of each task by lm-evaluation-harness and by lopper evaluate; ` +
      "log-likelihoods by question and request, in nats",
    results,
  });
  printTable(
    ["model", "task", "questions", "requests", "largest difference", "metrics of both"],
    results.flatMap(({ model, tasks }) =>
      tasks.map(({ task, questions, requests, largestDifference, metrics }) => [
        model,
        task,
        questions,
        requests,
        largestDifference.toExponential(1),
        Object.entries(metrics).map(([name, { lopper }]) => `${name} ${Number(lopper.toFixed(4))}`)
          .join(", "),
      ])
    ),
  );
  const wrong = results.flatMap(({ model, tasks }) =>
    tasks.flatMap((task) => task.faults.map((fault) => `${model}, ${task.task}: ${fault}`))
  );
  if (wrong.length > 0) throw new Error(`they differ:\n${wrong.join("\n")}`);
}

async function harnessScores(
  model: string,
  data: string,
  file: string,
  python: string,
): Promise<HarnessScores> {
  const script = fileURLToPath(new URL("scripts/oracles/evaluation_parity.py", ROOT));
  const files = TASKS.map((task) => `${task}=${data}/${TASK_FILES[task].place}`);
  await output(python, [script, model, file, ...files, "--threads", THREADS], {
    env: { HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" },
  });
  return JSON.parse(await Deno.readTextFile(file));
}

async function lopperScores(
  model: string,
  data: string,
  out: string,
): Promise<LopperScores> {
  const args = ["--tasks", TASKS.join(), "--data", data, "--offline", "--out", out];
  args.push("--backend", "cpu", "--threads", THREADS);
  await lopper(["evaluate", model, ...args]);
  const { version, models: [found] } = JSON.parse(
    await Deno.readTextFile(`${out}/evaluation.json`),
  );
  const lines = (await Deno.readTextFile(`${out}/scores.jsonl`)).trimEnd().split("\n");
  return {
    version,
    backend: found.backend,
    metrics: new Map(
      found.tasks.map(({ task, metrics }: { task: string; metrics: unknown }) => [task, metrics]),
    ),
    questions: new Map(
      lines.map((line) => JSON.parse(line)).map((line) => [`${line.task} ${line.question}`, line]),
    ),
  };
}

function compareTask(task: string, harness: HarnessTask, ours: LopperScores) {
  const faults: string[] = [];
  let requests = 0, largestDifference = 0, greedyDiffers = 0;
  const logLikelihoods = harness.scores.map((expected, question) => {
    const found = ours.questions.get(`${task} ${question}`);
    if (found?.logLikelihoods.length !== expected.length) {
      throw new Error(`${task}, question ${question}: Lopper scored other requests`);
    }
    expected.forEach(([logLikelihood, greedy], i) => {
      const difference = Math.abs(logLikelihood - found.logLikelihoods[i]);
      requests++;
      // Math.max hands a NaN on.
      largestDifference = Math.max(largestDifference, difference);
      if (greedy !== found.greedy[i]) greedyDiffers++;
    });
    const short = (values: readonly number[]) => values.map((x) => x.toFixed(5)).join(" ");
    return [short(expected.map(([value]) => value)), short(found.logLikelihoods)];
  });
  if (!(largestDifference <= TOLERANCE)) {
    faults.push(`log-likelihoods differ by ${largestDifference}, and ${TOLERANCE} is allowed`);
  }
  const reported = ours.metrics.get(task) ?? {};
  const metrics = Object.fromEntries(
    Object.entries(reported).map(([name, { value: lopper }]) => {
      const { value } = harness.metrics[name];
      // A perplexity is no share of questions: it differs as log-likelihoods do.
      const allowed = name === "perplexity" ? TOLERANCE * value : SAME;
      if (!(Math.abs(value - lopper) <= allowed)) {
        faults.push(`${name} is ${value} there and ${lopper} here`);
      }
      return [name, { harness: value, lopper }];
    }),
  );
  return {
    task,
    questions: harness.scores.length,
    requests,
    largestDifference,
    greedyDiffers,
    metrics,
    faults,
    /** For each question what the harness finds and what Lopper finds. */
    logLikelihoods,
  };
}
