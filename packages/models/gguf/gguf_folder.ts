import {
  type ByteSource,
  checkFileName,
  type GgufMetadata,
  MemoryFolder,
  MemorySource,
  type MetadataEntry,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "@lopper/formats";
import {
  ggufTemplates,
  hasNamedTemplates,
  MODEL_KEY,
  TEMPLATE_FILE,
  TEMPLATE_KEY,
  tokenizerFiles,
} from "@lopper/tokenizers";

const TOKENIZER = "tokenizer.json";
const TOKENIZER_CONFIG = "tokenizer_config.json";
const CONFIG = "config.json";
/**
 * Keys that say of a model where it is from, and hold for what is made of it (gguf-py,
 * `Keys.General`).
 */
const ORIGIN =
  /^general\.(license|author|organization|url|repo_url|doi|source|base_model|dataset|tags|languages|description)(\.|$)/;
const GENERATION_CONFIG = "generation_config.json";

/**
 * The files beside the weights that a Hugging Face folder of the same model has, made from the
 * metadata of a GGUF file when they are asked for.
 */
export class GgufFolder implements ModelFolder {
  readonly name: string;
  readonly #metadata: GgufMetadata;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #eosTokenIds: readonly number[];

  /**
   * @param eosTokenIds all tokens at which texts end, of which the config has those that the file
   * names.
   */
  constructor(
    metadata: GgufMetadata,
    config: Readonly<Record<string, unknown>>,
    eosTokenIds: readonly number[] = [],
  ) {
    this.name = metadata.file;
    this.#metadata = metadata;
    this.#config = config;
    this.#eosTokenIds = eosTokenIds;
  }

  list(): Promise<readonly string[]> {
    const files = [CONFIG, GENERATION_CONFIG];
    const named = hasNamedTemplates(this.#metadata);
    const hasTokenizer = this.#metadata.get(MODEL_KEY) !== undefined;
    if (hasTokenizer) files.push(TOKENIZER);
    if (hasTokenizer || named) files.push(TOKENIZER_CONFIG);
    // Named ones are listed in the tokenizer's config: their names need not be such that files can
    // have them.
    if (this.#metadata.get(TEMPLATE_KEY) && !named) files.push(TEMPLATE_FILE);
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
    return await this.#entries((key) => key.startsWith("tokenizer."));
  }

  /**
   * What the file says of where its model is from and under which terms it may be used, for another
   * GGUF file.
   * @throws {CheckpointFormatError} when an entry cannot be read.
   */
  async originEntries(): Promise<readonly MetadataEntry[]> {
    return await this.#entries((key) => ORIGIN.test(key));
  }

  async #entries(which: (key: string) => boolean): Promise<readonly MetadataEntry[]> {
    const keys = this.#metadata.keys().filter(which);
    return await Promise.all(keys.map((key) => this.#metadata.entry(key)));
  }

  async #text(file: string): Promise<string> {
    switch (file) {
      case TOKENIZER:
        return JSON.stringify((await tokenizerFiles(this.#metadata)).tokenizer);
      case TOKENIZER_CONFIG: {
        const { config } = this.#metadata.get(MODEL_KEY)
          ? await tokenizerFiles(this.#metadata)
          : { config: {} };
        if (!hasNamedTemplates(this.#metadata)) return toJson(config);
        return toJson({ ...config, chat_template: await ggufTemplates(this.#metadata) });
      }
      case TEMPLATE_FILE:
        return await this.#metadata.text(TEMPLATE_KEY) ?? "";
      case GENERATION_CONFIG: {
        const { bos_token_id, pad_token_id } = this.#config;
        const [end, ...more] = this.#eosTokenIds;
        return toJson({
          bos_token_id,
          eos_token_id: more.length > 0 ? this.#eosTokenIds : end,
          pad_token_id,
        });
      }
      default:
        return toJson(this.#config);
    }
  }
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}
