import type { OpfsRun } from "@lopper/browser";
import { type Change, planOf } from "@lopper/core";
import { criterionOf } from "@lopper/importance";
import { layersOfBlocks, type Model, prunedSizes } from "@lopper/models";
import { prune as pruned, type RunEvent } from "@lopper/run";
import { describeChanges, type Step } from "@lopper/search";
import { sentence } from "./explain.ts";
import { memoryHere } from "./memory.ts";
import { type OpenedRun, openRun } from "./open_run.ts";
import type { Layers, PruneTold, Result, StepTold } from "./protocol.ts";
import { resultOf } from "./result.ts";
import { StoredRun } from "./runs.ts";

type Tell = (told: PruneTold) => void;

/** Runs what is left to do of a run that was stopped, and gives its result. */
export async function goOn(id: string, tell: Tell): Promise<Result> {
  const run = await StoredRun.open(id);
  using store = await run.store();
  if (await store.record() === null) {
    await using opened = await openRun(await run.model(), run.about, await run.text(), store);
    await finish(opened, store, tell);
  }
  return await resultOf(run, store);
}

/** Prunes what was opened, and tells the page how far it is. */
export async function finish(
  { model, texts, task, tokenizer, backend }: OpenedRun,
  store: OpfsRun,
  tell: Tell,
) {
  const tools = { backend, tokenizer, store, memory: memoryHere };
  const told = new Telling(model, tell);
  for await (const event of pruned(model, texts, task, tools)) told.event(event);
}

/** Milliseconds between two reports of progress: a page draws no more often. */
const INTERVAL_MS = 100;

/** What a run tells, as the page is told it. */
class Telling {
  readonly #model: Model;
  readonly #tell: Tell;
  /** Steps that the page does not know yet, and the changes of all. */
  #steps: StepTold[] = [];
  readonly #frontier: { readonly changes: readonly Change[] }[] = [];
  #last = 0;

  constructor(model: Model, tell: Tell) {
    this.#model = model;
    this.#tell = tell;
  }

  event(event: RunEvent) {
    if (event.type === "begin") {
      const { ratio, criterion } = event.flags;
      const { note } = criterionOf(criterion);
      const meaning = note && sentence(note);
      const layers = layersAfter(this.#model, []);
      this.#tell({ type: "begin", target: ratio, meaning, layers });
    } else if (event.type === "progress") {
      this.#progress(event.phase, event.done, event.total);
    } else if (event.type === "note") {
      this.#tell(event);
    } else if (event.type === "search") {
      const { event: found } = event;
      if (found.type === "step") this.#step(found.step, found.resumed);
      else if (found.type === "progress") this.#progress("searching", found.done, found.total);
      else if (found.type === "warning") this.#tell({ type: "note", message: found.message });
    } else if (event.type === "finished") {
      this.#tellSteps();
    }
  }

  #progress(phase: string, done: number, total: number) {
    // What a run had before comes all at once.
    this.#tellSteps();
    const now = performance.now();
    if (now - this.#last < INTERVAL_MS && done < total) return;
    this.#last = now;
    this.#tell({ type: "progress", phase, done, total });
  }

  #step({ stage, taken: { changes }, ppl, ratio }: Step, resumed: boolean) {
    this.#steps.push({ stage, what: describeChanges(changes), perplexity: ppl, ratio });
    this.#frontier.push({ changes });
    if (!resumed) this.#tellSteps();
  }

  #tellSteps() {
    if (this.#steps.length === 0) return;
    const layers = layersAfter(this.#model, this.#frontier);
    this.#tell({ type: "steps", steps: this.#steps, layers });
    this.#steps = [];
  }
}

/** What is left of a model's layers after some steps. */
function layersAfter(
  { architecture }: Model,
  frontier: readonly { readonly changes: readonly Change[] }[],
): Layers {
  const dense = layersOfBlocks(architecture);
  // Nobody compares it with a file.
  const plan = planOf(architecture, "", frontier.flatMap(({ changes }) => changes));
  return { sizes: { dense, pruned: prunedSizes(dense, plan) }, frontier: [...frontier], plan };
}
