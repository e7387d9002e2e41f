/**
 * Requests per second of `lopper evaluate` and of lm-evaluation-harness on PyTorch in float32, on
 * one task, from text to log-likelihoods. The harness gets the batch size that is best for it; what
 * both find is compared.
 */
import {
  alternate,
  here,
  median,
  output,
  printTable,
  type Rounds,
  save,
  script,
} from "./harness.ts";

export interface TasksOptions {
  /** Name of the model in the results, and its folder. */
  readonly name: string;
  readonly model: string;
  readonly task: string;
  /** Its rows. */
  readonly file: string;
  readonly questions: number;
  readonly rounds: number;
  /** A Python with what scripts/oracles/requirements.txt names. */
  readonly python: string;
}

interface Round {
  readonly requestsPerSecond: number;
  readonly requests: number;
  readonly logLikelihoods: readonly number[];
  readonly blockTokens?: number;
  readonly peakResidentBytes: number;
  readonly engine: string;
}

/** Largest difference of a request's log-likelihood, in nats. */
const TOLERANCE = 1e-3;
const THREADS = "2";
const BATCH_SIZES = [1, 4, 8, 16, 32];
/** Questions on which the batch size is chosen. */
const TUNING_QUESTIONS = 24;

export async function benchTasks(options: TasksOptions): Promise<void> {
  const { name, model, task, file, questions, rounds, python } = options;
  const harness = async (limit: number, batchSize: number): Promise<Round> => {
    const args = [model, file, task, String(limit), THREADS, String(batchSize)];
    return JSON.parse(
      await output(python, [here("evaluate_task.py"), ...args], {
        env: { HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" },
      }),
    );
  };
  const tuning = [];
  for (const batchSize of BATCH_SIZES) {
    console.error(`lm-evaluation-harness, batches of ${batchSize}`);
    const { requestsPerSecond } = await harness(TUNING_QUESTIONS, batchSize);
    tuning.push({ batchSize, requestsPerSecond });
  }
  const best = tuning.reduce((a, b) => b.requestsPerSecond > a.requestsPerSecond ? b : a).batchSize;
  const args = [model, file, task, String(questions), "cpu", THREADS];
  const variants = await alternate<Round>([
    {
      name: "Lopper cpu",
      run: async () => JSON.parse(await script("evaluate_task.ts", args)),
    },
    { name: `lm-evaluation-harness, batches of ${best}`, run: () => harness(questions, best) },
  ], rounds);
  const largestDifference = difference(variants);
  await save(`tasks-${name}-${task}`, {
    what: `${task}, the first ${questions} questions, ${THREADS} threads, float32`,
    largestDifference,
    tuning: { questions: TUNING_QUESTIONS, batchSizes: tuning },
    results: variants.map(({ name, rounds }) => ({
      name,
      // Compared above; the parity benchmark keeps such figures.
      rounds: rounds.map(({ logLikelihoods: _, ...round }) => round),
    })),
  });
  const speed = ({ rounds }: Rounds<Round>) => median(rounds.map((r) => r.requestsPerSecond));
  printTable(
    ["engine", "requests", "requests/s (median)", "of the harness", "block-tokens", "peak MB"],
    variants.map((variant) => [
      variant.name,
      variant.rounds[0].requests,
      speed(variant).toFixed(1),
      (speed(variant) / speed(variants[1])).toFixed(2),
      variant.rounds[0].blockTokens?.toFixed(0) ?? "",
      (median(variant.rounds.map((r) => r.peakResidentBytes)) / 1e6).toFixed(0),
    ]),
  );
}

/** @throws {Error} when the two do not compute the same. */
function difference(variants: readonly Rounds<Round>[]): number {
  const [{ rounds: [reference] }] = variants;
  let largest = 0;
  for (const { name, rounds } of variants) {
    for (const { logLikelihoods } of rounds) {
      if (logLikelihoods.length !== reference.logLikelihoods.length) {
        throw new Error(`${name} scores ${logLikelihoods.length} requests`);
      }
      logLikelihoods.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - reference.logLikelihoods[i]));
      });
    }
  }
  if (!(largest <= TOLERANCE)) throw new Error(`log-likelihoods differ by ${largest}`);
  return largest;
}
