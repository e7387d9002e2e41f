import { independenceOf } from "@lopper/graphs";
import type { Backend, BackendDescription, Executable, Feeds, Weights } from "../backend.ts";
import type { StartThread } from "./engine.ts";
import { EnginePlace, type PlacedGraph } from "./engine_place.ts";
import { joinFetches, partsOfFeeds } from "./rows.ts";
import { Staging } from "./staging.ts";

/**
 * Several engines of one thread each, which share out the rows of a run. They share no memory that
 * grows, so none can miss its growth, and each row comes out as one engine alone computes it. A
 * graph that says nothing of its rows, or was given weights, runs on the first of them.
 */
export class EnginePool implements Backend {
  readonly description: BackendDescription;
  readonly #places: readonly EnginePlace[];
  readonly #staging = new Staging();
  #graphs = 0;

  /** @param description of all engines together: `threads` is their number. */
  constructor(description: BackendDescription, start?: StartThread) {
    this.description = description;
    this.#places = Array.from(
      { length: description.threads },
      () => new EnginePlace(description.name, start),
    );
  }

  async compile(onnx: Uint8Array, weights: Weights = {}): Promise<Executable> {
    const weighty = Object.keys(weights).length > 0;
    const independence = weighty ? null : independenceOf(onnx);
    const graph = { id: this.#graphs++, onnx, weighty };
    await this.#places[0].compile(graph, weights);
    return new PooledExecutable(graph, {
      places: this.#places,
      partsOf: (feeds) =>
        independence ? partsOfFeeds(independence, feeds, this.#places.length) : [feeds],
      staging: this.#staging,
    });
  }

  [Symbol.asyncDispose]() {
    for (const place of this.#places) place[Symbol.dispose]();
    return Promise.resolve();
  }
}

/** What runs of a graph have of its pool. */
interface Share {
  readonly places: readonly EnginePlace[];
  readonly staging: Staging;
  /** What each engine runs, no more parts than there are engines. */
  partsOf(feeds: Feeds): readonly Feeds[];
}

class PooledExecutable implements Executable {
  readonly #graph: PlacedGraph;
  readonly #share: Share;
  #disposed = false;

  constructor(graph: PlacedGraph, share: Share) {
    this.#graph = graph;
    this.#share = share;
  }

  async run(feeds: Feeds) {
    if (this.#disposed) throw new TypeError("the executable was disposed");
    const { places, partsOf, staging } = this.#share;
    const parts = await staging.use(
      partsOf(feeds),
      (staged) => Promise.all(staged.map((part, i) => places[i].run(this.#graph, part))),
    );
    return joinFetches(parts);
  }

  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    await Promise.all(this.#share.places.map((place) => place.release(this.#graph)));
  }
}
