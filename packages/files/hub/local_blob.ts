import { FileSource } from "../file_source.ts";

/** Bytes that are read at once. */
const PART_BYTES = 2 ** 20;

/** A file of this machine, or a part of it, as what is sent: read when it is, piece by piece. */
export class LocalBlob extends Blob {
  readonly #path: string;
  readonly #start: number;
  readonly #end: number;
  readonly #onRead: (bytes: number) => void;

  /** @param onRead hears how many bytes were read, each time that they are. */
  constructor(
    path: string,
    { start = 0, end }: { readonly start?: number; readonly end: number },
    onRead: (bytes: number) => void = () => {},
  ) {
    super();
    this.#path = path;
    this.#start = start;
    this.#end = end;
    this.#onRead = onRead;
  }

  override get size(): number {
    return this.#end - this.#start;
  }

  override slice(from = 0, to = this.size): Blob {
    const [start, end] = [this.#start + from, Math.min(this.#start + to, this.#end)];
    return new LocalBlob(this.#path, { start, end }, this.#onRead);
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return ReadableStream.from(this.#parts());
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return await new Response(this.stream()).arrayBuffer();
  }

  override async text(): Promise<string> {
    return await new Response(this.stream()).text();
  }

  async *#parts(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const source = await FileSource.open(this.#path);
    try {
      for (let at = this.#start; at < this.#end; at += PART_BYTES) {
        const bytes = await source.read(at, Math.min(PART_BYTES, this.#end - at));
        yield bytes as Uint8Array<ArrayBuffer>;
        this.#onRead(bytes.byteLength);
      }
    } finally {
      source.close();
    }
  }
}
