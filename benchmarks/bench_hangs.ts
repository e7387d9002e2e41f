/**
 * Whether WebAssembly on several threads ever stops for good, and always computes the same, while
 * the machine is busy: several processes of it run at a time.
 */
import { availableParallelism } from "node:os";
import {
  DEMO,
  inTemporaryFolder,
  median,
  printTable,
  save,
  script,
  TimeLimitError,
  tokenIds,
} from "./harness.ts";

/** What hung once with threads that share memory: eight sequences of 256 tokens. */
const [TOKENS, LENGTH, THREADS] = [2048, 256, 2];
/** A run takes some seconds; after so many it is killed, and counted as one that hung. */
const MAX_SECONDS = 300;

interface Run {
  readonly seconds: number;
  /** The mean loss of all tokens, in nats; null for a process that had to be killed. */
  readonly nll: number | null;
}

export async function benchHangs(runs: number): Promise<void> {
  const atATime = 2 * availableParallelism();
  const found = await inTemporaryFolder(async (folder) => {
    const ids = `${folder}/ids.json`;
    await Deno.writeTextFile(ids, JSON.stringify(await tokenIds(DEMO, TOKENS, LENGTH)));
    const found: Run[] = [];
    let started = 0;
    const work = async () => {
      while (started++ < runs) {
        found.push(await run(ids));
        if (found.length % 20 === 0) console.error(`${found.length} of ${runs}`);
      }
    };
    await Promise.all(Array.from({ length: atATime }, work));
    return found;
  });
  const losses = new Set(found.map(({ nll }) => nll));
  losses.delete(null);
  const hung = found.filter(({ nll }) => nll === null).length;
  const seconds = found.map(({ seconds }) => seconds);
  printTable(["runs", "at a time", "hung", "different losses", "seconds (median)", "most"], [[
    ...[runs, atATime, hung, losses.size],
    ...[median(seconds).toFixed(1), Math.max(...seconds).toFixed(1)],
  ]]);
  await save("hangs", {
    what: `forward + NLL of ${TOKENS} tokens on wasm, ${THREADS} threads, ${atATime} at a time`,
    ...{ runs, hung, losses: [...losses], seconds },
  });
}

async function run(ids: string): Promise<Run> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  try {
    const args = [DEMO, "wasm", String(THREADS), ids, "1"];
    const { nll } = JSON.parse(await script("forward.ts", args, { limitSeconds: MAX_SECONDS }));
    return { seconds: seconds(), nll };
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    return { seconds: seconds(), nll: null };
  }
}
