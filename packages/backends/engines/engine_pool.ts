import { type Independence, independenceOf } from "@lopper/graphs";
import type { Backend, BackendDescription, Executable, Feeds, Weights } from "../backend.ts";
import type { StartThread } from "./engine.ts";
import { EnginePlace, type PlacedGraph } from "./engine_place.ts";
import { joinFetches, partsOfFeeds, valuesOf } from "./rows.ts";
import { Staging } from "./staging.ts";

export interface EnginePoolOptions {
  /**
   * Values of hidden states below which it is not worth the messages to share a run out further.
   */
  readonly minValues?: number;
  readonly start?: StartThread;
}

const MIN_VALUES = 8192;

/**
 * Several engines of one thread each, which share out the rows of a run: one in the thread that
 * calls, and others in threads of their own, which start when there is enough to do. They share no
 * memory that grows, so none can miss its growth, and each row comes out as one engine alone
 * computes it. A graph that says nothing of its rows, or was given weights, runs in this thread.
 */
export class EnginePool implements Backend {
  readonly description: BackendDescription;
  readonly #own: Backend;
  readonly #others: readonly EnginePlace[];
  readonly #staging = new Staging();
  readonly #minValues: number;
  #graphs = 0;

  /**
   * @param own the engine in this thread, which the pool ends with itself.
   * @param description of all engines together: `engines` is their number.
   */
  constructor(
    own: Backend,
    description: BackendDescription,
    { minValues = MIN_VALUES, start }: EnginePoolOptions = {},
  ) {
    this.description = description;
    this.#own = own;
    this.#minValues = minValues;
    this.#others = Array.from(
      { length: description.engines - 1 },
      () => new EnginePlace(description.name, start),
    );
  }

  async compile(onnx: Uint8Array, weights: Weights = {}): Promise<Executable> {
    const own = await this.#own.compile(onnx, weights);
    const independence = Object.keys(weights).length > 0 ? null : independenceOf(onnx);
    if (!independence) return own;
    return new SharedExecutable({ id: this.#graphs++, onnx }, own, {
      others: this.#others,
      staging: this.#staging,
      partsOf: (feeds) => this.#partsOf(independence, feeds),
    });
  }

  async [Symbol.asyncDispose]() {
    for (const place of this.#others) place[Symbol.dispose]();
    await this.#own[Symbol.asyncDispose]();
  }

  #partsOf(independence: Independence, feeds: Feeds): readonly Feeds[] {
    const worth = Math.floor(valuesOf(independence, feeds) / this.#minValues);
    return partsOfFeeds(independence, feeds, Math.min(this.#others.length + 1, worth));
  }
}

/** What runs of a graph have of its pool. */
interface Share {
  readonly others: readonly EnginePlace[];
  readonly staging: Staging;
  /** What each engine runs, no more parts than there are engines. */
  partsOf(feeds: Feeds): readonly Feeds[];
}

class SharedExecutable implements Executable {
  readonly #graph: PlacedGraph;
  readonly #own: Executable;
  readonly #share: Share;

  constructor(graph: PlacedGraph, own: Executable, share: Share) {
    this.#graph = graph;
    this.#own = own;
    this.#share = share;
  }

  async run(feeds: Feeds) {
    const { others, partsOf, staging } = this.#share;
    const [first, ...rest] = partsOf(feeds);
    if (rest.length === 0) return await this.#own.run(feeds);
    await Promise.all(rest.map((_, i) => others[i].ready()));
    return await staging.use(rest, async (staged) => {
      // The others are at it before this thread is, which hears nothing while it computes.
      const running = staged.map((part, i) => others[i].run(this.#graph, part));
      // What is staged is in use until the last of them is done, however the first one ends.
      const done = await Promise.allSettled([this.#own.run(first), ...running]);
      return joinFetches(done.map((part) => {
        if (part.status === "rejected") throw part.reason;
        return part.value;
      }));
    });
  }

  async dispose() {
    await Promise.all([
      this.#own.dispose(),
      ...this.#share.others.map((place) => place.release(this.#graph)),
    ]);
  }
}
