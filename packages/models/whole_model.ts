import { CheckpointFormatError, shown } from "@lopper/core";
import type { TensorInfo, TensorStore } from "@lopper/formats";
import { type TextLayout, usualSizes, type Wrapper, wrapperOf } from "./families/wrappers.ts";
import { listed } from "./folder/folder_files.ts";
import { withoutCode } from "./folder/code_keys.ts";
import { renamed } from "./stored_names.ts";

type Json = Readonly<Record<string, unknown>>;

/** A model of more than text, as far as it is not its text model. */
export interface WholeModel {
  /** Its config.json. */
  readonly config: Json;
  /** The tensors of its other parts, under the names that they have. */
  readonly others: readonly TensorInfo[];
  /** What a tensor of its text model is called in it, by the name that the text model has. */
  readonly storedName: (name: string) => string;
  /** Bytes of one of its other tensors, as they lie in the file. */
  readonly readBytes: (name: string) => Promise<Uint8Array>;
}

/** The config of the text model of a model of more than text. */
export interface TextPart {
  readonly wrapper: Wrapper;
  readonly whole: Json;
  readonly text: Json;
}

/** Keys that a text model has of the whole where it does not say them itself. */
const INHERITED = [
  "bos_token_id",
  "eos_token_id",
  "pad_token_id",
  "dtype",
  "torch_dtype",
  "quantization_config",
  "compression_config",
  "quantization",
] as const;

const TIED = "tie_word_embeddings";

/**
 * The config of the text model in a config.json of a model of more than text that Lopper reads;
 * null for any other config.json.
 * @throws {CheckpointFormatError} when it has none there.
 */
export function textPartOf(whole: Json, file: string): TextPart | null {
  const wrapper = wrapperOf(whole.model_type);
  if (!wrapper) return null;
  const own = whole.text_config;
  if (typeof own !== "object" || own === null || Array.isArray(own)) {
    const found = own === undefined ? "is missing" : `is ${shown(own)}`;
    throw new CheckpointFormatError(
      `at text_config: it ${found}; Lopper needs the config of the text model there`,
      { file },
    );
  }
  const said = own as Json;
  const type = said.model_type ?? wrapper.text;
  const inherited = INHERITED.flatMap((key) => {
    const value = said[key] ?? whole[key];
    return value === undefined ? [] : [[key, value]];
  });
  const text = {
    ...usualSizes(String(type)),
    ...said,
    ...Object.fromEntries(inherited),
    model_type: type,
    // transformers asks the whole first.
    [TIED]: whole[TIED] ?? said[TIED] ?? wrapper.tied,
  };
  return { wrapper, whole, text };
}

/**
 * The tensors of the text model under the names that it has by itself, and what else there is.
 * @param file what has the tensors, for messages.
 * @throws {CheckpointFormatError} when there are none of a text model, or one of them twice.
 */
export function textTensors(
  { wrapper, whole }: TextPart,
  store: TensorStore,
  file: string,
): { readonly store: TensorStore; readonly whole: WholeModel } {
  const names = [...store.tensors.keys()];
  const { layouts } = wrapper;
  const layout = layouts.find(({ stored }) => names.some((name) => name.startsWith(stored)));
  if (!layout) {
    throw new CheckpointFormatError(
      `no tensor is one of its text model: their names begin with ${
        layouts.map(({ stored }) => shown(stored)).join(" or ")
      }`,
      { file },
    );
  }
  const isOther = (name: string) =>
    wrapper.parts.some((part) => name.startsWith(layout.others + part));
  const others = [...store.tensors.values()].filter(({ name }) => isOther(name));
  return {
    store: renamed(store, (name) => isOther(name) ? null : usualName(layout, name)),
    whole: {
      ...{ config: whole, others },
      storedName: (name) => storedName(layout, name),
      readBytes: (name) => store.readBytes(name),
    },
  };
}

function usualName({ stored, usual }: TextLayout, name: string): string {
  return name.startsWith(stored) ? usual + name.slice(stored.length) : name;
}

function storedName({ stored, usual }: TextLayout, name: string): string {
  return name.startsWith(usual) ? stored + name.slice(usual.length) : name;
}

/** What is said of a model of more than text when it is opened. */
export function wholeNote({ config, others }: WholeModel): string {
  const parts = [...new Set(others.map(({ name }) => partName(name)))];
  return `of this ${config.model_type} the text model is read, and ${others.length} tensors are not${
    parts.length > 0 ? ` (${listed(parts)})` : ""
  }: they are written as they are where all layers stay alike; else, and in other formats than ` +
    "safetensors, the text model is written alone";
}

/** "vision_tower", wherever it lies. */
function partName(name: string): string {
  const [first, second] = name.split(".");
  return first === "model" ? second : first;
}

/**
 * The config.json of the whole around another text model.
 * @param text config of that.
 */
export function wholeConfig({ config }: WholeModel, text: Json): Record<string, unknown> {
  const { transformers_weights: _, ...plain } = withoutCode(config);
  const dtypes = ["dtype", "torch_dtype"].filter((key) => plain[key] !== undefined);
  return {
    ...plain,
    ...Object.fromEntries(dtypes.map((key) => [key, text[key] ?? plain[key]])),
    [TIED]: text[TIED],
    text_config: text,
  };
}
