/**
 * One variant of the benchmark of tasks, in a process of its own: from text to every request's
 * log-likelihood, and prints one JSON object.
 *
 * Usage: deno run -A benchmarks/evaluate_task.ts MODEL ROWS.jsonl[.gz] TASK LIMIT BACKEND THREADS
 */
import { type BackendName, openBackend } from "@lopper/backends";
import { evaluateTask, prepareTask, readRows, RequestScorer, TASKS } from "@lopper/evaluation";
import { FileFolder, FileSource } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import { peakResidentBytes } from "./measure.ts";

const [path, file, name, limit, backendName, threads] = Deno.args;
const task = TASKS.find((task) => task.name === name)!;
const { rows } = await readRows(await FileSource.open(file), { limit: Number(limit) });
const questions = rows.map((row, i) => task.question(row, `row ${i + 1}`));

const model = await openModel(new FileFolder(path));
const tokenizer = await openTokenizer(model.folder);
const { backend } = await openBackend(backendName as BackendName, { threads: Number(threads) });
const decoder = new Decoder(backend, await LaidOutWeights.load(model));
const scorer = new RequestScorer(decoder);
const options = { maxLength: model.architecture.maxPositions, addSpecialTokens: true };

// The first pass of a process allocates, and is no faster in a long evaluation.
await evaluateTask(scorer, await prepareTask(task, questions.slice(0, 8), tokenizer, options));
const [before, started] = [scorer.blockTokens, performance.now()];
const prepared = await prepareTask(task, questions, tokenizer, options);
const { scores, requests } = await evaluateTask(scorer, prepared);
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({
  requestsPerSecond: requests / seconds,
  requests,
  logLikelihoods: scores.flat().map(({ logLikelihood }) => logLikelihood),
  blockTokens: scorer.blockTokens - before,
  peakResidentBytes: peakResidentBytes(),
  engine: backend.description.engine,
}));
Deno.exit(0);
