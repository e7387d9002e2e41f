import { Engine, EngineLostError, type StartThread } from "./engine.ts";
import type { Fetches } from "./protocol.ts";
import type { StagedFeeds } from "./staging.ts";

/** A graph that engines compile where they run it. */
export interface PlacedGraph {
  readonly id: number;
  readonly onnx: Uint8Array;
}

/** An engine and the graphs that it compiled, or is about to. */
interface Seat {
  readonly engine: Engine;
  readonly compiled: Map<PlacedGraph, Promise<Fetches>>;
}

/**
 * Where an engine runs in a thread of its own, from the first time on that it is wanted. Nothing of
 * a text lives in it: when its thread ends by itself, another takes its place, and what it was at
 * begins again, with the same result.
 */
export class EnginePlace implements Disposable {
  readonly #open: () => Seat;
  #seat: Seat | null = null;

  /** @param name of the backend, in messages. */
  constructor(name: string, start?: StartThread) {
    this.#open = () => ({ engine: new Engine(name, start), compiled: new Map() });
  }

  /** From then on `run` sends what it is given before it returns. */
  async ready(): Promise<void> {
    this.#seat ??= this.#open();
    await this.#seat.engine.started;
  }

  /** @throws {EngineLostError} when two engines in a row end at it. */
  async run(graph: PlacedGraph, staged: () => StagedFeeds): Promise<Fetches> {
    const seat = this.#seat ??= this.#open();
    try {
      return await runOn(seat, graph, staged);
    } catch (error) {
      if (!(error instanceof EngineLostError)) throw error;
      if (this.#seat === seat) this.#seat = this.#open();
      return await runOn(this.#seat, graph, staged);
    }
  }

  async release(graph: PlacedGraph): Promise<void> {
    if (!this.#seat?.compiled.delete(graph)) return;
    // Who is gone holds nothing.
    await this.#seat.engine.ask({ release: graph.id }).catch(() => {});
  }

  [Symbol.dispose]() {
    this.#seat?.engine[Symbol.dispose]();
  }
}

async function runOn(
  { engine, compiled }: Seat,
  graph: PlacedGraph,
  staged: () => StagedFeeds,
): Promise<Fetches> {
  const { id } = graph;
  let compiling = compiled.get(graph);
  // Its buffer is whole: a view would be sent with all that its buffer holds.
  compiling ??= engine.ask({ compile: id, onnx: graph.onnx.slice() });
  compiled.set(graph, compiling);
  const { feeds, transfer } = staged();
  const running = engine.ask({ run: id, feeds }, transfer);
  const [, fetches] = await Promise.all([compiling, running]);
  return fetches;
}
