import { CheckpointFormatError, DTYPE_BYTES, type FloatDType } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { checkFileName, type ModelFolder } from "../model_folder.ts";
import type { OnnxTensor } from "./graph.ts";

/** Where the values of a weight lie, checked against the file's size. */
export interface WeightData {
  readonly source: ByteSource;
  /** Bytes from the start of that file. */
  readonly offset: number;
}

/**
 * Opens the files that hold an ONNX model's weights: the graph's own, and those beside it that
 * tensors name. Nothing outside of the graph's folder is opened.
 */
export class ExternalFiles {
  readonly graph: ByteSource;
  readonly #folder: ModelFolder;
  readonly #opened = new Map<string, ByteSource>();

  constructor(folder: ModelFolder, graph: ByteSource) {
    this.#folder = folder;
    this.graph = graph;
  }

  /** All that was opened, and the graph's file, by the names of the sources. */
  get sources(): ReadonlyMap<string, ByteSource> {
    return new Map([this.graph, ...this.#opened.values()].map((source) => [source.name, source]));
  }

  /**
   * @throws {CheckpointFormatError} when the weight's file is missing, or the place is not in it or
   *   of another size than the weight.
   */
  async locate(
    { tensor, dtype }: { readonly tensor: OnnxTensor; readonly dtype: FloatDType },
  ): Promise<WeightData> {
    const { values, size, name, elementType } = tensor;
    const at = { file: this.graph.name, tensor: name };
    if (!values) {
      throw new CheckpointFormatError(
        `its values (element type ${elementType}) are neither raw bytes nor in a file beside the graph; save the model ` +
          "anew with onnx.save_model(onnx.load(FILE), NEW_FILE)",
        at,
      );
    }
    const source = values.location === null ? this.graph : await this.#open(values.location, name);
    const byteLength = size * DTYPE_BYTES[dtype];
    const location = { file: source.name, tensor: name, offset: values.offset };
    if (values.byteLength !== undefined && values.byteLength !== byteLength) {
      throw new CheckpointFormatError(
        `${values.byteLength} bytes are declared for it and its shape needs ${byteLength}`,
        location,
      );
    }
    if (values.offset + byteLength > source.size) {
      throw new CheckpointFormatError(
        `it takes ${byteLength} bytes from there and the file has ${source.size} bytes`,
        location,
      );
    }
    return { source, offset: values.offset };
  }

  close() {
    for (const source of this.sources.values()) source.close();
  }

  async #open(location: string, tensor: string): Promise<ByteSource> {
    // Writers may say that the file is in this folder.
    const file = location.replace(/^\.\//, "");
    checkFileName(`${this.graph.name}, tensor ${JSON.stringify(tensor)}`, file);
    const known = this.#opened.get(file);
    if (known) return known;
    const source = await this.#folder.open(file);
    this.#opened.set(file, source);
    return source;
  }
}
