import { CheckpointFormatError } from "@lopper/core";
import { type ByteSource, checkRange } from "../byte_source.ts";

/** A local file. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: Deno.FsFile;

  private constructor(name: string, size: number, file: Deno.FsFile) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  static async open(path: string): Promise<FileSource> {
    const file = await Deno.open(path, { read: true });
    try {
      const { size } = await file.stat();
      return new FileSource(path, size, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    // Seek and read share the file's position, so they run without a pause between them.
    try {
      checkRange(this, offset, length);
      const bytes = new Uint8Array(length);
      this.#file.seekSync(offset, Deno.SeekMode.Start);
      for (let filled = 0; filled < length;) {
        const n = this.#file.readSync(bytes.subarray(filled));
        if (n === null) {
          throw new CheckpointFormatError(
            `the file ended ${length - filled} bytes early; it was changed while it was read`,
            { file: this.name, offset: offset + filled },
          );
        }
        filled += n;
      }
      return Promise.resolve(bytes);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  close() {
    this.#file.close();
  }
}
