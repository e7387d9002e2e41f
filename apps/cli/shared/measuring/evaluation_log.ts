import { ResumeError, sealLine, unsealLine } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import type { QuestionScores, RequestScore, ScoreLog, TokenRequest } from "@lopper/evaluation";
import { AppendFile, readInput } from "@lopper/files";
import { z } from "zod";
import { jsonOrNull } from "../folder/json_or_null.ts";

const questionLine = z.strictObject({
  type: z.literal("question"),
  model: z.string(),
  backend: z.string(),
  /** For people; what was scored is in `key`. */
  task: z.string(),
  question: z.number(),
  key: z.string(),
  logLikelihoods: z.array(z.number()),
  greedy: z.array(z.boolean()),
}).refine(({ logLikelihoods, greedy }) => logLikelihoods.length === greedy.length);
const windowLine = z.strictObject({
  type: z.literal("window"),
  model: z.string(),
  backend: z.string(),
  text: z.string(),
  window: z.number(),
  key: z.string(),
  nll: z.number(),
});
const line = z.discriminatedUnion("type", [questionLine, windowLine]);
type Line = z.infer<typeof line>;
/** What a line begins with as it is written. */
const BEGINNINGS = ['{"type":"question",', '{"type":"window",'];

/** Scores of one model on one backend that are on the disk. */
export class EvaluationLog {
  readonly #file: AppendFile | null;
  readonly #known: Map<string, Line>;

  private constructor(file: AppendFile | null, known: Map<string, Line>) {
    this.#file = file;
    this.#known = known;
  }

  /** A log that remembers nothing. */
  static none(): EvaluationLog {
    return new EvaluationLog(null, new Map());
  }

  /**
   * Opens the log at a path, new or not; a last line that was never finished is dropped.
   * @throws {ResumeError} when the file is something else.
   */
  static async open(path: string): Promise<EvaluationLog> {
    const { lines, tornTail } = await AppendFile.readLines(path);
    if (lines.length === 0 && tornTail) await checkTornLine(path);
    const known = new Map<string, Line>();
    for (const [i, text] of lines.entries()) {
      const entry = await scoreOf(text, `${path}, line ${i + 1}`);
      known.set(keyOf(entry), entry);
    }
    await AppendFile.truncateTornTail(path);
    return new EvaluationLog(await AppendFile.open(path), known);
  }

  /** What is known and to be known of one model. */
  of(model: string, backend: string): ModelLog {
    return new ModelLog(this, { model, backend });
  }

  find(type: Line["type"], place: Place, key: string): Line | undefined {
    return this.#known.get(keyOf({ type, ...place, key }));
  }

  async append(lines: readonly Line[]) {
    const sealed = await Promise.all(lines.map((entry) => sealLine(JSON.stringify(entry), "")));
    await this.#file?.appendLines(sealed.map(({ line }) => line));
  }

  close() {
    this.#file?.close();
  }
}

/**
 * What a line says; each is sealed for itself, since scores are found by what they are of, wherever
 * they stand.
 * @throws {ResumeError} when it is no score, or was changed.
 */
async function scoreOf(text: string, place: string): Promise<Line> {
  const sealed = await unsealLine(text, "");
  const parsed = line.safeParse(jsonOrNull(sealed?.text ?? text));
  if (sealed && parsed.success) return parsed.data;
  if (!BEGINNINGS.some((begin) => text.startsWith(begin))) {
    throw new ResumeError(
      `${place}: not a score of an evaluation; --out needs a folder of its own`,
    );
  }
  throw new ResumeError(
    `${place}: it was changed, or is of an earlier version: its checksum does not fit; choose another --out`,
  );
}

/**
 * What a kill leaves of the first line, which is cut off. @throws {ResumeError} when it is none of
 * ours.
 */
async function checkTornLine(path: string): Promise<void> {
  const text = await readInput(path, INPUTS.journal);
  if (BEGINNINGS.some((begin) => text.startsWith(begin) || begin.startsWith(text))) return;
  throw new ResumeError(
    `${path}: this is no score of an evaluation; --out needs a folder of its own`,
  );
}

interface Place {
  readonly model: string;
  readonly backend: string;
}

/** The part of a log that concerns one model. Scores are found by the tokens that they are of. */
class ModelLog implements ScoreLog {
  readonly #log: EvaluationLog;
  readonly #place: Place;

  constructor(log: EvaluationLog, place: Place) {
    this.#log = log;
    this.#place = place;
  }

  /** Scores of questions that are known, by number, and what appends new ones. */
  async questions(task: string, requests: readonly (readonly TokenRequest[])[]) {
    const keys = await digests(requests);
    const known = new Map<number, readonly RequestScore[]>();
    keys.forEach((key, i) => {
      const found = this.#log.find("question", this.#place, key);
      if (found?.type !== "question" || found.logLikelihoods.length !== requests[i].length) return;
      const { logLikelihoods, greedy } = found;
      known.set(
        i,
        logLikelihoods.map((logLikelihood, n) => ({ logLikelihood, greedy: greedy[n] })),
      );
    });
    const append = (scored: readonly QuestionScores[]) =>
      this.#log.append(scored.map(({ question, scores }) => ({
        type: "question",
        ...this.#place,
        task,
        question,
        key: keys[question],
        logLikelihoods: scores.map(({ logLikelihood }) => logLikelihood),
        greedy: scores.map(({ greedy }) => greedy),
      })));
    return { known, append };
  }

  /** Losses of windows that are known, by number, and what appends new ones. */
  async windows(text: string, windows: readonly (readonly number[])[]) {
    const keys = await digests(windows);
    const known = new Map<number, number>();
    keys.forEach((key, i) => {
      const found = this.#log.find("window", this.#place, key);
      if (found?.type === "window") known.set(i, found.nll);
    });
    const append = (window: number, nll: number) =>
      this.#log.append([
        { type: "window", ...this.#place, text, window, key: keys[window], nll },
      ]);
    return { known, append };
  }
}

function keyOf({ type, model, backend, key }: Pick<Line, "type" | "key"> & Place): string {
  return [type, model, backend, key].join(" ");
}

/** One after the other: together they would hold all the JSON at once. */
async function digests(values: readonly unknown[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const value of values) found.push(await digest(value));
  return found;
}

/** 16 hexadecimal digits of the SHA-256 of a value's JSON. */
async function digest(value: unknown): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash.subarray(0, 8), (b) => b.toString(16).padStart(2, "0")).join("");
}
