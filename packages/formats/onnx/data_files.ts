import { type OpenSink, writeFile } from "../write_file.ts";

/** Browsers hold no larger array of bytes for sure. */
const MAX_FILE_BYTES = 2_000_000_000;
/** Engines map the file, and vector instructions load whole cache lines. */
const ALIGNMENT_BYTES = 64;

/** A tensor whose bytes are asked for when their turn comes. */
export interface TensorData {
  readonly name: string;
  /** In bytes. */
  readonly length: number;
  readonly data: () => Promise<Uint8Array>;
}

/** Where a tensor lies, as the ONNX file says it. */
export interface DataPlace {
  /** Path from the ONNX file. */
  readonly location: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
}

/**
 * Lays out the bytes of weights in files beside an ONNX file: `<file>_data`, `<file>_data_1`, … as
 * transformers.js numbers them. A weight is placed when it is added, and its bytes are asked for
 * when the files are written.
 */
export class OnnxData {
  readonly #file: string;
  readonly #maxFileBytes: number;
  readonly #files: (TensorData & DataPlace)[][] = [];
  #end = 0;

  /** @param file name of the ONNX file, without folders. */
  constructor(file: string, maxFileBytes = MAX_FILE_BYTES) {
    this.#file = file;
    this.#maxFileBytes = maxFileBytes;
  }

  get fileCount(): number {
    return this.#files.length;
  }

  /** Gives a weight its place; one that is larger than a file may be gets a file of its own. */
  add({ name, length, data }: TensorData): DataPlace {
    let offset = aligned(this.#end);
    if (this.#files.length === 0 || (offset > 0 && offset + length > this.#maxFileBytes)) {
      this.#files.push([]);
      offset = 0;
    }
    const location = this.#name(this.#files.length - 1);
    this.#files.at(-1)!.push({ name, length, data, location, offset });
    this.#end = offset + length;
    return { location, offset };
  }

  /**
   * Writes the files into `folder`, one weight in memory at a time; returns their paths.
   * @throws {TypeError} when a weight's bytes are not as many as were promised.
   */
  async write(open: OpenSink, folder: string): Promise<readonly string[]> {
    const paths: string[] = [];
    for (const [i, entries] of this.#files.entries()) {
      const path = `${folder}/${this.#name(i)}`;
      await writeFile(open, path, async (sink) => {
        let end = 0;
        for (const { name, offset, length, data } of entries) {
          if (offset > end) await sink.write(new Uint8Array(offset - end));
          const bytes = await data();
          if (bytes.byteLength !== length) {
            throw new TypeError(`${name} gave ${bytes.byteLength} bytes instead of ${length}`);
          }
          await sink.write(bytes);
          end = offset + length;
        }
      });
      paths.push(path);
    }
    return paths;
  }

  #name(index: number): string {
    return `${this.#file}_data${index === 0 ? "" : `_${index}`}`;
  }
}

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
