import type { Weights } from "../backend.ts";
import { Engine, EngineLostError, type StartThread } from "./engine.ts";
import type { Fetches } from "./protocol.ts";
import type { StagedFeeds } from "./staging.ts";

/** A graph that engines compile where they run it. */
export interface PlacedGraph {
  readonly id: number;
  readonly onnx: Uint8Array;
  /** It has weights that nobody keeps, so that it is compiled once. */
  readonly weighty: boolean;
}

/** An engine and the graphs that it compiled, or is about to. */
interface Seat {
  readonly engine: Engine;
  readonly compiled: Map<PlacedGraph, Promise<Fetches>>;
}

/**
 * Where an engine runs. Nothing of a text lives in it: when its thread ends by itself, another
 * takes its place, and what it was at begins again, with the same result.
 */
export class EnginePlace implements Disposable {
  readonly #open: () => Seat;
  #seat: Seat;

  /** @param name of the backend, in messages. */
  constructor(name: string, start?: StartThread) {
    this.#open = () => ({ engine: new Engine(name, start), compiled: new Map() });
    this.#seat = this.#open();
  }

  /** @throws {UnsupportedOpError} when the engine has no kernel for a node. */
  async compile(graph: PlacedGraph, weights: Weights = {}): Promise<void> {
    await this.#compiled(this.#seat, graph, weights);
  }

  /** @throws {EngineLostError} when two engines in a row end at it. */
  async run(graph: PlacedGraph, staged: () => StagedFeeds): Promise<Fetches> {
    const seat = this.#seat;
    try {
      return await this.#runOn(seat, graph, staged);
    } catch (error) {
      if (!(error instanceof EngineLostError) || graph.weighty) throw error;
      if (this.#seat === seat) this.#seat = this.#open();
      return await this.#runOn(this.#seat, graph, staged);
    }
  }

  async release(graph: PlacedGraph): Promise<void> {
    const { engine, compiled } = this.#seat;
    if (!compiled.delete(graph)) return;
    // Who is gone holds nothing.
    await engine.ask({ release: graph.id }).catch(() => {});
  }

  [Symbol.dispose]() {
    this.#seat.engine[Symbol.dispose]();
  }

  async #runOn(seat: Seat, graph: PlacedGraph, staged: () => StagedFeeds): Promise<Fetches> {
    await this.#compiled(seat, graph);
    const { feeds, transfer } = staged();
    return await seat.engine.ask({ run: graph.id, feeds }, transfer);
  }

  #compiled({ engine, compiled }: Seat, graph: PlacedGraph, weights: Weights = {}) {
    let done = compiled.get(graph);
    if (!done) {
      // A view would be sent with all that its buffer holds.
      const sent = Object.entries(weights).map(([name, data]) => [name, data.slice()] as const);
      done = engine.ask(
        { compile: graph.id, onnx: graph.onnx.slice(), weights: Object.fromEntries(sent) },
        sent.map(([, { buffer }]) => buffer as ArrayBuffer),
      );
      compiled.set(graph, done);
    }
    return done;
  }
}
