/** Runs Lopper's command line as Linux sees it. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./harness.ts";

/**
 * How often Linux is asked: its peak is the process's own, so that only what comes after the last
 * reading is missed.
 */
const POLL_MS = 50;
/** Of `/proc/PID/stat`, on every Linux of today. */
const TICKS_PER_SECOND = 100;

/** What a process took, as Linux counts it. */
export interface Watched {
  readonly seconds: number;
  /** That all cores spent on it. */
  readonly processorSeconds: number;
  readonly peakResidentBytes: number;
  /** By calls of the system, whether the system had them in memory or not. */
  readonly readBytes: number;
  /** Of them, those that came from the disk. */
  readonly fromDiskBytes: number;
  readonly exitCode: number;
  /** Lines of both streams. */
  readonly said: readonly string[];
}

export interface WatchOptions {
  /** When a journal holds an entry of this type, the process is interrupted, as by Ctrl-C. */
  readonly until?: { readonly type: "step" | "refit"; readonly journal: string };
  /** Folder of another checkout, from where its command line is called. */
  readonly root?: string;
}

/** Runs the command line in a process of its own. */
export async function watchedLopper(
  args: readonly string[],
  { until, root }: WatchOptions = {},
): Promise<Watched> {
  const started = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--allow-all"],
      join(root ?? fileURLToPath(ROOT), "apps/cli/main.ts"),
      ...args,
    ],
    ...{ cwd: root, stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
  const said = Promise.all([process.stdout, process.stderr].map((s) => new Response(s).text()));
  const counted = watch(process, until);
  const { code } = await process.status;
  const seconds = (performance.now() - started) / 1000;
  const lines = (await said).join("\n").split(/[\n\r]/).map((line) => line.trimEnd());
  return { seconds, ...await counted, exitCode: code, said: lines.filter((line) => line !== "") };
}

/** Reads what Linux says of a process until it is gone, and interrupts it where it is told to. */
async function watch(process: Deno.ChildProcess, until: WatchOptions["until"]) {
  const found = { processorSeconds: 0, peakResidentBytes: 0, readBytes: 0, fromDiskBytes: 0 };
  const number = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? 0);
  for (let interrupted = false;;) {
    try {
      const status = await Deno.readTextFile(`/proc/${process.pid}/status`);
      const io = await Deno.readTextFile(`/proc/${process.pid}/io`);
      const stat = await Deno.readTextFile(`/proc/${process.pid}/stat`);
      // Behind the name, which may be anything: the 14th and 15th fields of all.
      const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11).map(Number);
      found.processorSeconds = Math.max(found.processorSeconds, (user + system) / TICKS_PER_SECOND);
      found.peakResidentBytes = Math.max(found.peakResidentBytes, 1024 * number(status, "VmHWM"));
      found.readBytes = Math.max(found.readBytes, number(io, "rchar"));
      found.fromDiskBytes = Math.max(found.fromDiskBytes, number(io, "read_bytes"));
      if (/^State:\s*Z/m.test(status)) return found;
    } catch {
      return found;
    }
    if (until && !interrupted && (await textOf(until.journal)).includes(`"type":"${until.type}"`)) {
      process.kill("SIGINT");
      interrupted = true;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What is in a file; "" where it is not there. */
export function textOf(file: string): Promise<string> {
  return Deno.readTextFile(file).catch(() => "");
}
