import type { ByteSource } from "../byte_source.ts";
import { MemorySource } from "../byte_source.ts";
import {
  checkFileName,
  MemoryFolder,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "../model_folder.ts";
import type { GgufMetadata, MetadataEntry } from "./metadata.ts";
import { tokenizerFiles } from "./tokenizer.ts";

const TOKENIZER = "tokenizer.json";
const TOKENIZER_CONFIG = "tokenizer_config.json";
const CONFIG = "config.json";
const GENERATION_CONFIG = "generation_config.json";
const CHAT_TEMPLATE = "chat_template.jinja";
const CHAT_TEMPLATE_KEY = "tokenizer.chat_template";

/**
 * The files beside the weights that a Hugging Face folder of the same model has, made from the metadata of a GGUF file
 * when they are asked for.
 */
export class GgufFolder implements ModelFolder {
  readonly name: string;
  readonly #metadata: GgufMetadata;
  readonly #config: Readonly<Record<string, unknown>>;

  constructor(metadata: GgufMetadata, config: Readonly<Record<string, unknown>>) {
    this.name = metadata.file;
    this.#metadata = metadata;
    this.#config = config;
  }

  list(): Promise<readonly string[]> {
    const files = [CONFIG, GENERATION_CONFIG];
    if (this.#metadata.get("tokenizer.ggml.model")) files.push(TOKENIZER, TOKENIZER_CONFIG);
    if (this.#metadata.get(CHAT_TEMPLATE_KEY)) files.push(CHAT_TEMPLATE);
    return Promise.resolve(files);
  }

  async has(file: string): Promise<boolean> {
    return (await this.list()).includes(file);
  }

  async open(file: string): Promise<ByteSource> {
    checkFileName(this.name, file);
    if (!await this.has(file)) throw missingFile(this.name, file);
    const text = new TextEncoder().encode(await this.#text(file));
    return new MemorySource(`${this.name}/${file}`, text);
  }

  readBytes(file: string, limitBytes: number): Promise<Uint8Array> {
    return readWholeFile(this, file, limitBytes);
  }

  /** There are no folders in a file. */
  folder(name: string): ModelFolder {
    checkFileName(this.name, name);
    return new MemoryFolder(`${this.name}/${name}`, {});
  }

  /**
   * What the file says of its tokenizer, entry by entry, for another GGUF file.
   * @throws {CheckpointFormatError} when an entry cannot be read.
   */
  async tokenizerEntries(): Promise<readonly MetadataEntry[]> {
    const keys = this.#metadata.keys().filter((key) => key.startsWith("tokenizer."));
    return await Promise.all(keys.map((key) => this.#metadata.entry(key)));
  }

  async #text(file: string): Promise<string> {
    switch (file) {
      case TOKENIZER:
        return JSON.stringify((await tokenizerFiles(this.#metadata)).tokenizer);
      case TOKENIZER_CONFIG:
        return toJson((await tokenizerFiles(this.#metadata)).config);
      case CHAT_TEMPLATE:
        return await this.#metadata.text(CHAT_TEMPLATE_KEY) ?? "";
      case GENERATION_CONFIG: {
        const { bos_token_id, eos_token_id, pad_token_id } = this.#config;
        return toJson({ bos_token_id, eos_token_id, pad_token_id });
      }
      default:
        return toJson(this.#config);
    }
  }
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}
