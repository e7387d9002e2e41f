import assert from "node:assert/strict";
import { DEMO_MODEL } from "@lopper/demo-model";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startLopper } from "./cli.ts";
import { writeTinyRun } from "./tiny_run.ts";

/** A search that scores often enough for something to happen meanwhile. */
const LONG = [
  ...["--samples", "16", "--mlp-group", "4", "--ratio", "30", "--recover", "none"],
  ...["--fast-without", "racing,lazy,proxies,threshold", "--backend", "cpu"],
];
const SHORT = ["--samples", "8", "--mlp-group", "8", "--ratio", "20", "--backend", "cpu"];

/** What a run came to. */
export interface Found {
  readonly plan: string;
  readonly weights: string;
  /** Each line once, without what it took. */
  readonly journal: readonly string[];
  /** Of the steps. */
  readonly blockTokens: number;
}

/** A run of a tiny model, and the processes that work for it. */
export class Fleet implements AsyncDisposable {
  readonly folder: string;
  readonly #args: readonly string[];
  readonly #model: string;
  readonly #workers: FleetWorker[] = [];

  private constructor(folder: string, model: string, args: readonly string[]) {
    this.folder = folder;
    this.#model = model;
    this.#args = args;
  }

  static async of(folder: string, length: "long" | "short"): Promise<Fleet> {
    const [model, ...texts] = await writeTinyRun(folder);
    const args = [model, ...texts.slice(0, 4), "--seq-len", "16"];
    return new Fleet(folder, model, [...args, ...(length === "long" ? LONG : SHORT)]);
  }

  /** Starts a process that works for the runs of a server. */
  worker(url: string, model = this.#model): FleetWorker {
    const worker = new FleetWorker(
      startLopper(["worker", url, "--model", model, "--backend", "cpu"], this.folder),
    );
    this.#workers.push(worker);
    return worker;
  }

  /** A model of other weights. */
  otherModel(): string {
    return fileURLToPath(DEMO_MODEL);
  }

  /** Starts, or goes on with, the run whose result has this name. */
  run(out: string, url: string | null, ...more: readonly string[]): Deno.ChildProcess {
    const workers = url === null ? [] : ["--workers", url];
    return startLopper(["prune", ...this.#args, "--out", out, ...workers, ...more], this.folder);
  }

  /** The lines of its journal so far. */
  lines(out: string): readonly string[] {
    const file = join(this.folder, out, "journal.jsonl");
    try {
      return Deno.readTextFileSync(file).split("\n").slice(0, -1);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** Waits until the run has found out so much more. */
  async until(out: string, lines: number): Promise<void> {
    while (this.lines(out).length < lines) await pause(20);
  }

  async found(out: string): Promise<Found> {
    const read = (file: string) => Deno.readTextFile(join(this.folder, out, file));
    const weights = await Deno.readFile(join(this.folder, out, "model.safetensors"));
    return {
      plan: await read("lopper_plan.json"),
      weights: new Uint8Array(await crypto.subtle.digest("SHA-256", weights)).toHex(),
      journal: this.lines(out).map((line) => {
        const { cost: _, checksum: __, blockTokens: ___, seconds: ____, ...found } = JSON.parse(
          line,
        );
        return JSON.stringify(found);
      }),
      blockTokens: JSON.parse(await read("run.json")).blockTokens.spent,
    };
  }

  /** Ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker.kill();
  }
}

/** A process that works. */
export class FleetWorker {
  readonly #process: Deno.ChildProcess;
  /** All that it says until it ends. */
  readonly said: Promise<string>;

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    this.said = process.output().then(({ stdout, stderr }) => decode(stdout) + decode(stderr));
  }

  stop() {
    this.#process.kill("SIGSTOP");
  }

  goOn() {
    this.#process.kill("SIGCONT");
  }

  /** @returns what it said. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<string> {
    try {
      this.#process.kill(signal);
    } catch (error) {
      // It ended before.
      if (!(error instanceof TypeError)) throw error;
    }
    return await this.said;
  }
}

/** Answers of workers to a run: those that counted, and those that came twice or late. */
export interface Answers {
  readonly heard: number;
  readonly ignored: number;
}

/** A run ended well; else says why not. */
export async function ended(process: Deno.ChildProcess): Promise<Answers> {
  const { code, stderr } = await process.output();
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 0, said);
  const [heard, ignored] = /answered (\d+) jobs?; (\d+) answers?/.exec(said)?.slice(1) ?? [0, 0];
  return { heard: Number(heard), ignored: Number(ignored) };
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
