import { CheckpointFormatError } from "@lopper/core";
import type { ByteSource } from "../byte_source.ts";
import { finiteFloat32, finiteHalves } from "../finite_values.ts";
import { readJson } from "../json.ts";
import { checkFileName, type ModelFolder } from "../model_folder.ts";
import { lengthToRead, type TensorInfo, type TensorStore } from "../tensors.ts";
import { readSafetensorsHeader } from "./header.ts";
import { z } from "zod";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/** Whether a folder holds weights that `openTensorStore` opens. */
export async function hasSafetensors(folder: ModelFolder): Promise<boolean> {
  return await folder.has(SINGLE) || await folder.has(INDEX);
}

/**
 * The files that `openTensorStore` opens, shards in their order before the index that names them.
 * @throws {CheckpointFormatError} when one is missing.
 */
export async function filesOfWeights(folder: ModelFolder): Promise<readonly string[]> {
  if (await folder.has(SINGLE)) return [SINGLE];
  return [...(await shardsOf(folder)).files, INDEX];
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or the shards that
 * `model.safetensors.index.json` names.
 * @throws {CheckpointFormatError} when a file is missing, malformed, or contradicts the index.
 */
export async function openTensorStore(folder: ModelFolder): Promise<TensorStore> {
  if (await folder.has(SINGLE)) return await openShards(folder, [SINGLE]);
  const { placement, files } = await shardsOf(folder);
  const store = await openShards(folder, files);
  try {
    checkIndex(placement, store.tensors, folder.name);
  } catch (error) {
    store.close();
    throw error;
  }
  return store;
}

/** What the index of a folder names. @throws {CheckpointFormatError} when a shard is missing. */
async function shardsOf(folder: ModelFolder) {
  if (!await folder.has(INDEX)) throw missingWeights(folder);
  const { weight_map } = await readJson(folder, INDEX, indexSchema);
  const placement = new Map(Object.entries(weight_map));
  const files = [...new Set(placement.values())].sort();
  for (const file of files) checkFileName(`${folder.name}/${INDEX}`, file);
  const missing: string[] = [];
  for (const file of files) if (!await folder.has(file)) missing.push(file);
  if (missing.length === 0) return { placement, files };
  throw new CheckpointFormatError(
    `${missing.length} of ${files.length} shards are missing: ${missing.join(", ")}`,
    { file: `${folder.name}/${INDEX}` },
  );
}

/** `z.record` would drop a tensor named `__proto__`, and with it the only mention of its shard. */
const weightMap = z.custom<Readonly<Record<string, string>>>(
  (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((file) => typeof file === "string"),
  "it needs to name a file for every tensor",
);
const indexSchema = z.looseObject({ weight_map: weightMap });

async function openShards(folder: ModelFolder, files: readonly string[]): Promise<TensorStore> {
  const sources = new Map<string, ByteSource>();
  const tensors = new Map<string, TensorInfo>();
  try {
    for (const file of files) {
      const source = await folder.open(file);
      sources.set(source.name, source);
      for (const [name, tensor] of (await readSafetensorsHeader(source)).tensors) {
        const other = tensors.get(name);
        if (other) {
          throw new CheckpointFormatError(`the tensor is in ${other.file}, too`, {
            file: source.name,
            tensor: name,
            offset: tensor.offset,
          });
        }
        tensors.set(name, tensor);
      }
    }
  } catch (error) {
    for (const source of sources.values()) source.close();
    throw error;
  }
  return new ShardedStore(tensors, sources);
}

class ShardedStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #sources: ReadonlyMap<string, ByteSource>;

  constructor(
    tensors: ReadonlyMap<string, TensorInfo>,
    sources: ReadonlyMap<string, ByteSource>,
  ) {
    this.tensors = tensors;
    this.#sources = sources;
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const tensor = this.#tensor(name);
    const length = lengthToRead(tensor, byteOffset, byteLength);
    return await this.#sources.get(tensor.file)!.read(tensor.offset + byteOffset, length);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    return finiteFloat32(this.#tensor(name), await this.readBytes(name));
  }

  async readHalves(name: string, into?: Uint8Array): Promise<Uint16Array> {
    const tensor = this.#tensor(name);
    const { file, offset, byteLength } = tensor;
    return finiteHalves(tensor, await this.#sources.get(file)!.read(offset, byteLength, into));
  }

  close() {
    for (const source of this.#sources.values()) source.close();
  }

  #tensor(name: string): TensorInfo {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new TypeError(`the checkpoint has no tensor ${name}`);
    return tensor;
  }
}

function checkIndex(
  placement: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, TensorInfo>,
  folder: string,
) {
  for (const [name, file] of placement) {
    if (tensors.get(name)?.file === `${folder}/${file}`) continue;
    throw new CheckpointFormatError(`the index promises this tensor, and the shard lacks it`, {
      file: `${folder}/${file}`,
      tensor: name,
    });
  }
  for (const [name, { file, offset }] of tensors) {
    if (placement.has(name)) continue;
    throw new CheckpointFormatError(`${INDEX} does not list this tensor`, {
      file,
      tensor: name,
      offset,
    });
  }
}

/** What is said of a folder that `hasSafetensors` finds none in. */
export function missingWeights(folder: ModelFolder): CheckpointFormatError {
  return new CheckpointFormatError(`there is neither ${SINGLE} nor ${INDEX} in this folder`, {
    file: folder.name,
  });
}
