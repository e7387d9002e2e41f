import { formatMilliseconds, formatPerplexity, plural } from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { RunEvent } from "@lopper/run";
import {
  blockLabel,
  describeChanges,
  describeKey,
  type MeasureEvent,
  type RankingLine,
  type RecoveryLine,
  type SearchEvent,
  stageLabel,
  type Step,
  type SwapLine,
} from "@lopper/search";
import process from "node:process";
import { ProgressBar } from "./progress_bar.ts";
import { print, printJson, tell, tellLines } from "./terminal.ts";

/** Milliseconds between two progress lines of --json. */
const JSON_PROGRESS_INTERVAL = 1000;

/**
 * What a command tells while it works: bars and sentences for people, lines of JSON for machines.
 */
export interface Reporter extends Disposable {
  /** One fact, for people; machines get it as an event. */
  say(message: string): void;
  /** What a person is to know and nothing went wrong for: shown where output is piped, too. */
  note(message: string): void;
  /** What a run tells but its beginning. */
  event(event: Exclude<RunEvent, { type: "begin" }>): void;
  /** What went wrong beside the work, which goes on. */
  warn(message: string): void;
  /** Work other than the search, in any unit. */
  progress(what: string, done: number, total: number): void;
  /** What the command was for: an object for machines, a text for people. */
  result(data: Record<string, unknown>, text: string): void;
  /** Takes the bar off the screen. */
  stop(): void;
}

export function openReporter(json = false): Reporter {
  return json ? new JsonReporter() : new TerminalReporter();
}

abstract class RunReporter {
  abstract say(message: string): void;
  abstract search(event: SearchEvent): void;
  abstract refit(line: RecoveryLine, resumed: boolean): void;
  abstract progress(what: string, done: number, total: number): void;
  abstract stop(): void;

  event(event: Exclude<RunEvent, { type: "begin" }>) {
    switch (event.type) {
      case "progress":
        return this.progress(event.phase, event.done, event.total);
      case "finished":
        return this.stop();
      case "search":
        return this.search(event.event);
      case "refit":
        return this.refit(event.line, event.resumed);
      case "note":
        return this.say(event.message);
    }
  }

  [Symbol.dispose]() {
    this.stop();
  }
}

class JsonReporter extends RunReporter implements Reporter {
  #lastProgress = 0;

  say(message: string) {
    this.#event("note", { message });
  }

  note(message: string) {
    this.say(message);
  }

  search(event: SearchEvent) {
    const { type, ...data } = event;
    if (type !== "progress" || this.#progressIsDue()) this.#event(type, data);
  }

  warn(message: string) {
    this.#event("warning", { message });
  }

  refit(line: RecoveryLine, resumed: boolean) {
    const { type, ...data } = line;
    this.#event(type, { ...data, resumed });
  }

  progress(what: string, done: number, total: number) {
    if (this.#progressIsDue()) this.#event("progress", { stage: what, done, total });
  }

  #progressIsDue(): boolean {
    if (performance.now() - this.#lastProgress < JSON_PROGRESS_INTERVAL) return false;
    this.#lastProgress = performance.now();
    return true;
  }

  result(data: Record<string, unknown>) {
    this.#event("result", data);
  }

  #event(name: string, data: Record<string, unknown>) {
    printJson({ event: name, ...data });
  }

  stop() {}
}

/**
 * Sentences and the bar go to standard error, results to standard output; without a terminal there
 * is no bar, and a run whose output is piped says nothing but its results.
 */
class TerminalReporter extends RunReporter implements Reporter {
  readonly #interactive = process.stderr.isTTY === true;
  readonly #bar = new ProgressBar();

  say(message: string) {
    if (!this.#interactive) return;
    this.stop();
    tellLines(message);
  }

  note(message: string) {
    this.stop();
    tell(`note: ${message}`);
  }

  search(event: SearchEvent) {
    if (event.type === "evidence") return;
    if (event.type === "warning") {
      this.warn(event.message);
    } else if (event.type === "step") {
      if (!event.resumed) this.say(describeStep(event.step));
    } else if (event.type === "ranking") {
      if (!event.resumed) this.say(describeRanking(event.ranking));
    } else if (event.type === "measure") {
      if (!event.resumed) this.say(describeMeasure(event));
    } else if (event.type === "swap") {
      if (!event.resumed) this.say(describeSwap(event.line));
    } else {
      const { stage, ratio, done, total } = event;
      this.#draw(
        stage === "swaps" ? stage : "search",
        `${stage === "swaps" ? stage : stageLabel(stage)}, ${ratio.toFixed(1)} % pruned`,
        done,
        total,
      );
    }
  }

  warn(message: string) {
    this.stop();
    tell(`warning: ${message}`);
  }

  refit(line: RecoveryLine, resumed: boolean) {
    if (!resumed) this.say(describeRepair(line));
  }

  progress(what: string, done: number, total: number) {
    this.#draw(what, what, done, total);
  }

  result(_data: Record<string, unknown>, text: string) {
    this.stop();
    if (this.#interactive) tellLines();
    print(text);
  }

  stop() {
    this.#bar.stop();
  }

  #draw(phase: string, text: string, done: number, total: number) {
    if (this.#interactive) this.#bar.draw(phase, text, done, total);
  }
}

function describeMeasure({ measure: { on, steps }, perplexity }: MeasureEvent): string {
  const text = on === "held_out" ? "held-out text" : "calibration text";
  return `          ${text}${steps === 0 ? ", dense model" : ""}: perplexity ${
    formatPerplexity(perplexity)
  }`;
}

function describeRepair(line: RecoveryLine): string {
  const change = `perplexity ${formatPerplexity(perplexity(line.before))} to ${
    formatPerplexity(perplexity(line.after))
  } on validation text: ${line.kept ? "kept" : "dropped"}`;
  if (line.type === "recovery") return `all ${line.local ? "local " : ""}refits: ${change}`;
  if (line.type === "local") {
    return `local refits of ${plural(line.projections, "block")}, ridge ${line.lambda}: ${change}`;
  }
  const { folded } = line;
  const behind = folded === 0 ? "" : ` (with ${folded} removed behind it)`;
  return `refit of ${blockLabel(line)}${behind}: ${change}`;
}

function describeSwap(line: SwapLine): string {
  const change = `perplexity ${formatPerplexity(perplexity(line.before))} to ${
    formatPerplexity(perplexity(line.after))
  }`;
  if (line.type === "swaps") return `${line.kept} of ${line.tried} swaps kept: ${change}`;
  const { restored, removed, ratio, kept } = line;
  const gone = removed === null ? "nothing for it" : describeKey(removed);
  return `swap: ${describeKey(restored)} again, ${gone}, ${change}, ${ratio.toFixed(2)} % pruned: ${
    kept ? "kept" : "dropped"
  }`;
}

function describeRanking({ dimension, chosen, tried }: RankingLine): string {
  const trials = tried.map(({ ranking, nll }) => `${ranking} ${formatPerplexity(perplexity(nll))}`);
  return `ranking of ${stageLabel(dimension)}: ${chosen}` +
    (trials.length === 0 ? "" : ` (perplexity after a trial cut: ${trials.join(", ")})`);
}

function describeStep({ step, taken, ppl, ratio, latency }: Step): string {
  const predicted = latency === undefined
    ? ""
    : `, ${formatMilliseconds(latency)} a token predicted`;
  return `step ${String(step + 1).padStart(3)}: ${
    describeChanges(taken.changes)
  } removed, perplexity ${formatPerplexity(ppl)}, ${ratio.toFixed(2)} % pruned${predicted}`;
}
