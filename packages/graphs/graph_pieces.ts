import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
} from "onnx-buf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ELEMENT, type ElementType, type StoredWeight } from "./graph_builder.ts";

/** What a feed of a piece is. */
export interface FeedType {
  readonly element: ElementType;
  /** Number of dimensions. */
  readonly rank: number;
}

/** Where the bytes of a weight lie. */
export type WeightPlace = Pick<StoredWeight, "name" | "location" | "offset" | "length">;

/** Consecutive nodes of a graph. */
export interface GraphPiece {
  /** Feeds of the whole graph, and outputs of earlier pieces. */
  readonly inputs: readonly string[];
  /** Fetches of the whole graph that it makes. */
  readonly fetches: readonly string[];
  /** The weights that its nodes read. */
  readonly weights: readonly WeightPlace[];
  /**
   * The piece as an ONNX model that declares its weights by name, and leaves the bytes to whoever
   * compiles it.
   */
  encode(types: ReadonlyMap<string, FeedType>): Uint8Array;
}

/**
 * Cuts a graph whose weights lie in files beside it, so that it can run with a few of them in
 * memory at a time: piece after piece, each on what the earlier ones left. Every node is in one
 * piece, as it is. The graph is cut where all that weights have made so far is one value (in a
 * decoder, the residual stream); a piece has as much of it as takes `pieceBytes`, and more only
 * where there is no such place.
 */
export function graphPieces(onnx: Uint8Array, pieceBytes: number): readonly GraphPiece[] {
  const model = fromBinary(ModelProtoSchema, onnx);
  const graph = model.graph;
  if (!graph || graph.node.length === 0) throw new TypeError("the ONNX file holds no graph");
  const flow = new Flow(graph);
  return flow.ranges(pieceBytes).map(([start, end]) => {
    const { reads, inputs, outputs, fetches } = flow.across(start, end);
    const initializers = graph.initializer.filter(({ name }) => reads.has(name));
    const nodes = graph.node.slice(start, end);
    return {
      inputs,
      fetches,
      weights: initializers.filter(isStored).map(weightPlace),
      encode: (types) => {
        const piece = {
          name: graph.name,
          node: nodes,
          initializer: initializers.map((tensor) => isStored(tensor) ? declared(tensor) : tensor),
          input: inputs.map((name) =>
            graph.input.find((i) => i.name === name) ?? valueInfo(name, types.get(name))
          ),
          // Without a type it is the one that the engine infers.
          output: outputs.map((name) => graph.output.find((o) => o.name === name) ?? { name }),
        };
        const { irVersion, opsetImport, functions } = model;
        return toBinary(
          ModelProtoSchema,
          // The shapes above are in part plain objects; protobuf-es fills in the message types.
          // deno-lint-ignore no-explicit-any
          create(ModelProtoSchema, { irVersion, opsetImport, functions, graph: piece } as any),
        );
      },
    };
  });
}

/** Who reads and who makes the values of a graph. */
class Flow {
  readonly #reads: readonly ReadonlySet<string>[];
  readonly #outputs: readonly (readonly string[])[];
  readonly #stored: ReadonlyMap<string, number>;
  readonly #initializers: ReadonlySet<string>;
  readonly #feeds: readonly string[];
  readonly #fetches: ReadonlySet<string>;
  /** The last node that reads a value. */
  readonly #lastRead = new Map<string, number>();

  constructor({ node, input, output, initializer }: GraphProto) {
    this.#reads = node.map((n) => new Set(valuesRead(n)));
    this.#outputs = node.map((n) => n.output.filter((name) => name !== ""));
    this.#stored = new Map(
      initializer.filter(isStored).map((t) => [t.name, weightPlace(t).length]),
    );
    this.#initializers = new Set(initializer.map(({ name }) => name));
    this.#feeds = input.map(({ name }) => name).filter((name) => !this.#initializers.has(name));
    this.#fetches = new Set(output.map(({ name }) => name));
    this.#reads.forEach((names, i) => names.forEach((name) => this.#lastRead.set(name, i)));
  }

  /** The nodes of each piece, `[start, end)`. */
  ranges(pieceBytes: number): readonly (readonly [number, number])[] {
    const places = [...this.#narrowPlaces(), this.#reads.length];
    const ranges: [number, number][] = [];
    let start = 0, end = 0;
    for (const place of places) {
      if (end > start && this.#bytes(start, place) > pieceBytes) {
        ranges.push([start, end]);
        start = end;
      }
      end = place;
    }
    return [...ranges, [start, end]];
  }

  /** What enters and leaves a piece, and all that its nodes read. */
  across(start: number, end: number) {
    const earlier = new Set([...this.#feeds, ...this.#outputs.slice(0, start).flat()]);
    const reads = new Set(this.#reads.slice(start, end).flatMap((names) => [...names]));
    const made = this.#outputs.slice(start, end).flat();
    const fetches = made.filter((name) => this.#fetches.has(name));
    const passed = made.filter((name) => (this.#lastRead.get(name) ?? -1) >= end);
    return {
      reads,
      inputs: [...reads].filter((name) => earlier.has(name)),
      fetches,
      outputs: [...new Set([...fetches, ...passed])],
    };
  }

  /**
   * Nodes that read weights, and before which no more than one value that weights have a part in is
   * alive.
   */
  #narrowPlaces(): readonly number[] {
    const places: number[] = [];
    const made = new Set<string>();
    let alive: string[] = [];
    this.#reads.forEach((names, i) => {
      alive = alive.filter((name) => (this.#lastRead.get(name) ?? -1) >= i);
      const weighty = [...names].some((name) => this.#stored.has(name));
      if (weighty && made.size > 0 && alive.length <= 1) places.push(i);
      if (!weighty && ![...names].some((name) => made.has(name))) return;
      for (const name of this.#outputs[i]) {
        made.add(name);
        alive.push(name);
      }
    });
    return places;
  }

  #bytes(start: number, end: number): number {
    const names = new Set(this.#reads.slice(start, end).flatMap((reads) => [...reads]));
    return [...names].reduce((sum, name) => sum + (this.#stored.get(name) ?? 0), 0);
  }
}

/** The values that a node reads, those that its branches read of the graph around them included. */
function valuesRead({ input, attribute }: NodeProto): string[] {
  const inner = attribute.flatMap(({ type, g }) =>
    type === AttributeType.GRAPH && g
      ? [...g.node.flatMap(valuesRead), ...g.output.map(({ name }) => name)]
      : []
  );
  return [...input, ...inner].filter((name) => name !== "");
}

function isStored({ dataLocation }: TensorProto): boolean {
  return dataLocation === DataLocation.EXTERNAL;
}

function weightPlace({ name, externalData }: TensorProto): WeightPlace {
  const text = (wanted: string) => externalData.find(({ key }) => key === wanted)?.value;
  const location = text("location");
  const offset = Number(text("offset") ?? 0), length = Number(text("length"));
  if (location === undefined || !Number.isSafeInteger(offset) || !Number.isSafeInteger(length)) {
    throw new TypeError(`the place of ${name} is not a file, an offset and a length`);
  }
  return { name, location, offset, length };
}

/** A weight whose bytes come by its name. */
function declared({ name, dataType, dims, dataLocation }: TensorProto) {
  return { name, dataType, dims, dataLocation, externalData: [{ key: "location", value: name }] };
}

function valueInfo(name: string, type: FeedType | undefined) {
  if (!type) throw new TypeError(`the type of ${name} is not known`);
  const dim = Array.from({ length: type.rank }, () => ({}));
  const tensorType = { elemType: ELEMENT[type.element], shape: { dim } };
  return { name, type: { value: { case: "tensorType" as const, value: tensorType } } };
}
