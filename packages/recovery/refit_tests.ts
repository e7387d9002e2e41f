import { mean } from "@lopper/core";
import { costBetween, type RecoveryTest } from "@lopper/search";
import type { RecoveryEvent } from "./course.ts";
import { batched, begin, lossesOf, lossOf } from "./pass.ts";
import { during, type Projections, type RefitModel } from "./projections.ts";
import type { RefitRun, RefitTexts } from "./refit_task.ts";

/** Tests of refits on text that chose nothing: each against what stayed of those before it. */
export class RefitTests {
  readonly #model: RefitModel;
  readonly #texts: RefitTexts;
  readonly #run: RefitRun;
  readonly #tests: RecoveryTest[] = [];
  /** Mean NLL of each sequence with what stays so far. */
  #before: readonly number[] = [];

  constructor(model: RefitModel, texts: RefitTexts, run: RefitRun) {
    this.#model = model;
    this.#texts = texts;
    this.#run = run;
  }

  /** With the weights of the checkpoint. */
  async begin() {
    const { steps, recorded } = this.#run;
    const first = recorded.find((line) => line.type === "recovery" && line.steps === steps);
    this.#before = first?.before ?? await this.#loss();
  }

  get all(): readonly RecoveryTest[] {
    return this.#tests;
  }

  /** Whether local refits stay, which are not in the decoder's weights, and do not come there. */
  async *local(fits: Projections): AsyncGenerator<RecoveryEvent, boolean> {
    const loss = () => during(this.#model, fits, () => this.#loss());
    return yield* this.#test({ local: true }, loss);
  }

  /** Whether refits along the stream stay, which are in the decoder's weights. */
  async *stream(): AsyncGenerator<RecoveryEvent, boolean> {
    return yield* this.#test({}, () => this.#loss());
  }

  async *#test(
    which: Pick<RecoveryTest, "local">,
    loss: () => Promise<readonly number[]>,
  ): AsyncGenerator<RecoveryEvent, boolean> {
    const { steps, recorded, measure } = this.#run;
    const known = recorded.find((line): line is RecoveryTest =>
      line.type === "recovery" && line.steps === steps && line.local === which.local
    );
    const started = measure();
    const before = this.#before;
    const after = known?.after ?? await loss();
    const kept = mean(after) < mean(before);
    const cost = costBetween(started, measure());
    const line = known ?? { type: "recovery", steps, ...which, before, after, kept, cost } as const;
    this.#tests.push(line);
    if (line.kept) this.#before = line.after;
    yield { line, resumed: known !== undefined };
    return line.kept;
  }

  async #loss(): Promise<readonly number[]> {
    const { decoder, shape } = this.#model;
    const { test, batchTokens } = this.#texts;
    const text = batched(test, batchTokens);
    const start = await begin(decoder, text);
    const loss = await lossOf(decoder, shape, start, lossesOf(text));
    start.states.drop();
    return loss;
  }
}
