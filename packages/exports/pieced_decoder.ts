import type { Backend, Executable, Feeds, HostTensor } from "@lopper/backends";
import type { ByteSource, ModelFolder } from "@lopper/formats";
import { type FeedType, type GraphPiece, graphPieces } from "@lopper/graphs";

/**
 * Bytes of weights in one piece, where the graph can be cut: about a layer of a model of a billion
 * parameters.
 */
const PIECE_BYTES = 128 * 1024 ** 2;
/** Thirty times what the largest models' graphs take without their weights. */
const MAX_GRAPH_BYTES = 64 * 1024 ** 2;

/**
 * An ONNX file whose weights lie in files beside it, run piece by piece: the nodes of the file, in
 * its order, with the bytes at the places that it names, of which one piece at a time is in memory.
 */
export class PiecedDecoder implements Executable {
  readonly #backend: Backend;
  readonly #folder: ModelFolder;
  readonly pieces: readonly GraphPiece[];
  #loaded: { readonly piece: GraphPiece; readonly executable: Executable } | null = null;

  private constructor(backend: Backend, folder: ModelFolder, pieces: readonly GraphPiece[]) {
    this.#backend = backend;
    this.#folder = folder;
    this.pieces = pieces;
  }

  /** @param file name of the ONNX file in `folder`. */
  static async open(
    backend: Backend,
    folder: ModelFolder,
    file: string,
    pieceBytes = PIECE_BYTES,
  ): Promise<PiecedDecoder> {
    const onnx = await folder.readBytes(file, MAX_GRAPH_BYTES);
    return new PiecedDecoder(backend, folder, graphPieces(onnx, pieceBytes));
  }

  /** @throws {CheckpointFormatError} when the bytes of a weight are not where the graph says. */
  async run(feeds: Feeds): Promise<Readonly<Record<string, HostTensor>>> {
    const fetches: Record<string, HostTensor> = {};
    let values = new Map(Object.entries(feeds));
    for (const [i, piece] of this.pieces.entries()) {
      const inputs = Object.fromEntries(piece.inputs.map((name) => {
        const tensor = values.get(name);
        if (!tensor) throw new TypeError(`graph input ${name} has no feed`);
        return [name, tensor];
      }));
      const executable = await this.#load(piece, inputs);
      const outputs = await executable.run(inputs);
      for (const name of piece.fetches) fetches[name] = outputs[name];
      const left = new Set(this.pieces.slice(i + 1).flatMap((later) => later.inputs));
      const alive = [...values, ...Object.entries(outputs)].filter(([name]) => left.has(name));
      values = new Map(alive);
    }
    return fetches;
  }

  async dispose() {
    await this.#loaded?.executable.dispose();
    this.#loaded = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** A piece stays until another one is needed: what fits into one piece is compiled once. */
  async #load(piece: GraphPiece, inputs: Feeds): Promise<Executable> {
    if (this.#loaded?.piece === piece) return this.#loaded.executable;
    await this.dispose();
    const types = Object.entries(inputs).map(([name, { dtype, dims }]): [string, FeedType] => [
      name,
      { element: dtype, rank: dims.length },
    ]);
    const executable = await this.#backend.compile(
      piece.encode(new Map(types)),
      await this.#weights(piece),
    );
    this.#loaded = { piece, executable };
    return executable;
  }

  async #weights({ weights }: GraphPiece): Promise<Readonly<Record<string, Uint8Array>>> {
    const sources = new Map<string, ByteSource>();
    try {
      const bytes: Record<string, Uint8Array> = {};
      for (const { name, location, offset, length } of weights) {
        const source = sources.get(location) ?? await this.#folder.open(location);
        sources.set(location, source);
        bytes[name] = await source.read(offset, length);
      }
      return bytes;
    } finally {
      for (const source of sources.values()) source.close();
    }
  }
}
