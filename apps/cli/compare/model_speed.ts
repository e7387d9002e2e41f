import { EvaluationError, median } from "@lopper/core";
import { z } from "zod";
import { DEMO, type LocatedModel } from "../shared/inputs/locate_models.ts";
import { PERMISSIONS } from "../permissions.ts";
import { startOwn } from "./own_process.ts";

/** Times after the first, of which the middle one counts. */
const REPEATS = 3;

export interface SpeedSettings {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly backend: string;
  readonly threads?: number;
  readonly memory?: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the process when it fires. */
  readonly signal?: AbortSignal;
}

/** How fast a model runs on this machine, and what it takes. */
export interface ModelSpeed {
  /** Tokens of the prompt a second, the median of several times. */
  readonly prefillTokensPerSecond: number;
  /** Tokens a second that come one by one after it, likewise. */
  readonly decodeTokensPerSecond: number;
  /** The most resident memory of the process that ran nothing else, in bytes. */
  readonly peakResidentBytes: number;
  /** Seconds of every time. */
  readonly prefillSeconds: readonly number[];
  readonly decodeSeconds: readonly number[];
}

const progressLine = z.looseObject({
  event: z.literal("progress"),
  done: z.number(),
  total: z.number(),
});
const resultLine = z.looseObject({
  event: z.literal("result"),
  prefillSeconds: z.array(z.number()),
  decodeSeconds: z.array(z.number()),
  peakResidentBytes: z.number(),
});
const line = z.discriminatedUnion("event", [progressLine, resultLine]);

/**
 * Measures a model in a process of its own.
 * @throws {EvaluationError} with what that process said, when it fails.
 */
export async function modelSpeed(
  { path, named }: LocatedModel,
  settings: SpeedSettings,
): Promise<ModelSpeed> {
  const { promptTokens, decodeTokens, backend, threads, memory, onProgress, signal } = settings;
  const process = startOwn([
    ...["measure-speed", path ?? DEMO, "--backend", backend],
    ...["--prompt", String(promptTokens), "--decode", String(decodeTokens)],
    ...["--repeats", String(REPEATS)],
    ...threads === undefined ? [] : ["--threads", String(threads)],
    ...memory === undefined ? [] : ["--memory", memory],
  ], PERMISSIONS["measure-speed"]);
  // It writes nothing that could be lost.
  const end = () => process.kill();
  signal?.addEventListener("abort", end, { once: true });
  const said = new Response(process.stderr).text();
  let result: z.infer<typeof resultLine> | null = null;
  for await (const text of lines(process.stdout)) {
    const found = line.parse(JSON.parse(text));
    if (found.event === "result") result = found;
    else onProgress?.(found.done, found.total);
  }
  const code = await process.ended;
  signal?.removeEventListener("abort", end);
  if (code !== 0 || result === null) {
    const reason = (await said).trim().replace(/^lopper: /, "") ||
      (code === null ? "it was ended" : `it ended with code ${code}`);
    throw new EvaluationError(`the speed of ${named} could not be measured: ${reason}`);
  }
  const { prefillSeconds, decodeSeconds, peakResidentBytes } = result;
  return {
    prefillTokensPerSecond: promptTokens / median(prefillSeconds),
    decodeTokensPerSecond: decodeTokens / median(decodeSeconds),
    peakResidentBytes,
    prefillSeconds,
    decodeSeconds,
  };
}

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}
