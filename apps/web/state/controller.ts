import { saveFile, saveFolder } from "./save_result.ts";
import type { Asked } from "../tasks/about.ts";
import { ask, type Asked as Task, TaskError } from "../tasks/ask.ts";
import type { PruneTold, Result, SavedAs, Source, TaskName, Tasks } from "../tasks/protocol.ts";
import {
  afterTold,
  chosen,
  type Finished,
  type Running,
  running,
  START,
  type State,
  type View,
} from "./state.ts";

/** What a person can do on the page; each of it changes the state, and the page is drawn anew. */
export class Controller {
  #state = START;
  readonly #draw: (state: State) => void;
  /** What a worker is at. */
  #task: Pick<Task<TaskName>, "stop"> | null = null;

  constructor(draw: (state: State) => void) {
    this.#draw = draw;
  }

  get state(): State {
    return this.#state;
  }

  /** Says why nothing can be done here. */
  giveUp(reason: string) {
    this.#show({ at: "unable", reason }, "");
  }

  /** All of the page is kept for use without a network. */
  kept() {
    this.#set({ isKept: true });
  }

  /** Looks at what the browser keeps of this page. */
  async refresh() {
    try {
      this.#set({ runs: await ask("runs", null).answer });
    } catch (error) {
      this.#set({ problem: sentenceOf(error) });
    }
  }

  /** Goes back to the start; work that goes on is stopped, and what a run decided is kept. */
  async home() {
    this.#stop();
    this.#show({ at: "start" }, "");
    await this.refresh();
  }

  async choose(source: Source) {
    this.#stop();
    const name = source.kind === "embedded" ? "the built-in model" : source.name;
    this.#show({ at: "looking", name }, `Looking at ${name}`);
    await this.#try(async () => {
      const opened = await this.#ask("look", source);
      const { title } = opened;
      this.#show(chosen(source, opened), `${title} can be made smaller. Choose how much is to go.`);
    });
  }

  settle(asked: Partial<Asked>) {
    const { view } = this.#state;
    if (view.at === "chosen") this.#set({ view: { ...view, asked: { ...view.asked, ...asked } } });
  }

  judgeBy(text: File | null) {
    const { view } = this.#state;
    if (view.at === "chosen") this.#set({ view: { ...view, text } });
  }

  /** Begins a run of the model that was chosen. What cannot be is said before any work. */
  async begin() {
    const { view } = this.#state;
    if (view.at !== "chosen") return;
    const { source, text, asked, opened: { title } } = view;
    this.#show(running(title, asked.ratio), "Getting ready");
    await this.#try(async () => {
      this.#done(await this.#ask("begin", { source, text, asked }, (told) => this.#told(told)));
    }, view);
  }

  /** Goes on with a run that was stopped, or cut off. */
  async goOn(id: string) {
    const run = this.#state.runs.find((run) => run.id === id);
    if (!run) return;
    this.#show(running(run.title, run.target), "Going on");
    await this.#try(async () =>
      this.#done(await this.#ask("goOn", id, (told) => this.#told(told)))
    );
  }

  async open(id: string) {
    await this.#try(async () => {
      const result = await this.#ask("result", id);
      this.#show({ at: "finished", result, tried: null, saving: null }, "");
    });
  }

  async remove(id: string) {
    await this.#try(async () => {
      await this.#ask("remove", id);
      this.#set({ said: "The run was deleted." });
    });
    await this.refresh();
  }

  /** Has both models go on with a text. */
  async generate(prompt: string) {
    const { view } = this.#state;
    if (view.at !== "finished") return;
    this.#stop();
    const start = { prompt, dense: null, pruned: null, isOver: false };
    this.#finished((view) => ({ ...view, tried: start }));
    await this.#try(async () => {
      await this.#ask(
        "generate",
        { run: view.result.id, prompt },
        ({ by, text }) =>
          this.#finished((view) => ({ ...view, tried: { ...view.tried ?? start, [by]: text } })),
      );
      this.#set({ said: "Both models have answered." });
    });
    this.#finished((view) => ({ ...view, tried: view.tried && { ...view.tried, isOver: true } }));
  }

  /** Saves the result as one file. */
  async save(as: SavedAs) {
    const { view } = this.#state;
    if (view.at !== "finished") return;
    await this.#saving(async (tell) => {
      const file = await this.#ask("save", { run: view.result.id, as }, tell);
      saveFile(file);
      return `${file.name} was saved.`;
    });
  }

  /** Saves the result as a folder in one that the user chooses. */
  async saveFolder() {
    const { view } = this.#state;
    if (view.at !== "finished") return;
    await this.#saving(async (tell) => {
      const name = await saveFolder(view.result, tell);
      return name === null ? "" : `The folder ${name} was saved.`;
    });
  }

  dismiss() {
    this.#set({ problem: null });
  }

  async #saving(save: (tell: (what: string) => void) => Promise<string>) {
    const tell = (saving: string | null) => this.#finished((view) => ({ ...view, saving }));
    tell("getting ready");
    await this.#try(async () => this.#set({ said: await save(tell) }));
    tell(null);
  }

  #told(told: PruneTold) {
    this.#running((run) => afterTold(run, told, performance.now()));
  }

  #done(result: Result) {
    const said = `Done: ${result.title} is ${result.ratio.toFixed(1)} % smaller.`;
    this.#show({ at: "finished", result, tried: null, saving: null }, said);
  }

  /** Has a worker do something; whatever another one is at ends. */
  async #ask<N extends TaskName>(
    task: N,
    given: Tasks[N]["given"],
    onTold?: (told: Tasks[N]["told"]) => void,
  ): Promise<Tasks[N]["answer"]> {
    this.#stop();
    const asked = ask(task, given, onTold);
    this.#task = asked;
    return await asked.answer;
  }

  #stop() {
    this.#task?.stop();
    this.#task = null;
  }

  /** Does something, and says in a sentence what it failed for. @param back what is shown then. */
  async #try(work: () => Promise<void>, back?: View) {
    try {
      this.#set({ problem: null });
      await work();
    } catch (error) {
      this.#set({ problem: sentenceOf(error) });
      const { at } = this.#state.view;
      if (at !== "running" && at !== "looking") return;
      this.#set({ view: back ?? { at: "start" } });
      await this.refresh();
    }
  }

  #show(view: View, said: string) {
    this.#set({ view, said });
  }

  #set(change: Partial<State>) {
    this.#state = { ...this.#state, ...change };
    this.#draw(this.#state);
  }

  #running(next: (run: Running) => Running) {
    const { view } = this.#state;
    if (view.at === "running") this.#set({ view: next(view) });
  }

  #finished(next: (view: Finished) => Finished) {
    const { view } = this.#state;
    if (view.at === "finished") this.#set({ view: next(view) });
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof TaskError) return error.message;
  return `This page has made a mistake: ${error instanceof Error ? error.message : error}.`;
}
