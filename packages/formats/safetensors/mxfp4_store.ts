import { CheckpointFormatError, shown } from "@lopper/core";
import { finiteFloat32, finiteHalves } from "../finite_values.ts";
import { MXFP4_CODES, mxfp4Bits } from "../mxfp4.ts";
import { lengthToRead, type TensorInfo, type TensorStore } from "../tensors.ts";

/**
 * Values of a block, which share a scale (OCP Microscaling Formats 1.0, section 5.2): 4 bits each,
 * two in a byte, the first of them in its low half.
 */
const BLOCK = 32;
const BLOCK_BYTES = BLOCK / 2;
/** Bytes of a value as it is offered: BF16. */
const WIDTH = 2;
/** Values that are decoded at a time unless said. */
const CHUNK = 2 ** 20;

const BLOCKS = "_blocks";
const SCALES = "_scales";

/** A matrix as it lies in the file. */
interface Quantised {
  /** As it is offered. */
  readonly info: TensorInfo;
  readonly blocks: TensorInfo;
  readonly scales: TensorInfo;
}

/**
 * The tensors of a checkpoint, those in MXFP4 as BF16: gpt-oss has a matrix as `NAME_blocks`, U8
 * `[…, blocks of a row, 16]`, and `NAME_scales`, U8 `[…, blocks of a row]`. It is offered under the
 * name of its blocks, `[…, 32 times that]`. Each value is what transformers makes of it, bit by
 * bit; a block is decoded when it is read, and nothing of it is kept.
 */
export class Mxfp4Store implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #base: TensorStore;
  readonly #quantised: ReadonlyMap<string, Quantised>;

  readonly #chunk: number;

  /**
   * @param chunk values that are decoded at a time, a multiple of those of a block.
   * @throws {CheckpointFormatError} when blocks and scales do not go together.
   */
  constructor(base: TensorStore, chunk = CHUNK) {
    this.#base = base;
    this.#chunk = chunk;
    this.#quantised = quantisedIn(base);
    const scales = new Set([...this.#quantised.values()].map(({ scales }) => scales.name));
    this.tensors = new Map(
      [...base.tensors].filter(([name]) => !scales.has(name))
        .map(([name, tensor]) => [name, this.#quantised.get(name)?.info ?? tensor]),
    );
  }

  /** Bytes of what is quantised in the file; 0 where nothing is. */
  get quantisedBytes(): number {
    return [...this.#quantised.values()].reduce(
      (sum, { blocks, scales }) => sum + blocks.byteLength + scales.byteLength,
      0,
    );
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const found = this.#quantised.get(name);
    if (!found) return await this.#base.readBytes(name, byteOffset, byteLength);
    const length = lengthToRead(found.info, byteOffset, byteLength);
    const first = Math.floor(byteOffset / (BLOCK * WIDTH));
    const end = Math.ceil((byteOffset + length) / (BLOCK * WIDTH));
    const out = new Uint16Array((end - first) * BLOCK);
    const chunk = this.#chunk / BLOCK;
    for (let block = first; block < end; block += chunk) {
      const count = Math.min(chunk, end - block);
      const codes = await this.#base.readBytes(name, block * BLOCK_BYTES, count * BLOCK_BYTES);
      const scales = await this.#base.readBytes(found.scales.name, block, count);
      decode(codes, scales, out.subarray((block - first) * BLOCK));
    }
    return new Uint8Array(out.buffer, byteOffset - first * BLOCK * WIDTH, length);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const found = this.#quantised.get(name);
    if (!found) return await this.#base.readFloat32(name);
    return finiteFloat32(found.info, await this.readBytes(name), offsetIn(found));
  }

  async readHalves(name: string): Promise<Uint16Array> {
    const found = this.#quantised.get(name);
    if (!found) return await this.#base.readHalves(name);
    return finiteHalves(found.info, await this.readBytes(name), offsetIn(found));
  }

  close() {
    this.#base.close();
  }
}

function quantisedIn({ tensors }: TensorStore): ReadonlyMap<string, Quantised> {
  const found = new Map<string, Quantised>();
  for (const [name, tensor] of tensors) {
    if (name.endsWith(SCALES)) partner(tensors, tensor, SCALES, BLOCKS);
    if (!name.endsWith(BLOCKS)) continue;
    const scales = partner(tensors, tensor, BLOCKS, SCALES);
    const { shape, file, offset } = tensor;
    const needed = [...scales.shape, BLOCK_BYTES];
    if (shape.length < 2 || shape.join() !== needed.join()) {
      throw new CheckpointFormatError(
        `its shape is [${shape.join(", ")}], and that of ${scales.name} is [${
          scales.shape.join(", ")
        }]; MXFP4 needs ${BLOCK_BYTES} bytes for each scale`,
        { file, tensor: name, offset },
      );
    }
    const values = [...shape.slice(0, -2), shape.at(-2)! * BLOCK];
    const info: TensorInfo = {
      ...{ name, dtype: "BF16", shape: values, file, offset },
      byteLength: values.reduce((product, d) => product * d, WIDTH),
    };
    found.set(name, { info, blocks: tensor, scales });
  }
  return found;
}

/** What belongs to blocks or to scales. */
function partner(
  tensors: TensorStore["tensors"],
  { name, dtype, file, offset }: TensorInfo,
  own: string,
  other: string,
): TensorInfo {
  const wanted = name.slice(0, -own.length) + other;
  const found = tensors.get(wanted);
  const location = { file, tensor: name, offset };
  if (!found) {
    throw new CheckpointFormatError(`there is no ${shown(wanted)}; MXFP4 needs both`, location);
  }
  if (dtype === "U8") return found;
  throw new CheckpointFormatError(`its dtype is ${dtype}; MXFP4 needs U8`, location);
}

/** BF16 of each code under each scale: the upper half of float32, whose lower half is 0. */
const TABLE = Uint16Array.from(mxfp4Bits(), (bits) => bits >>> 16);

function decode(codes: Uint8Array, scales: Uint8Array, out: Uint16Array) {
  for (let block = 0; block < scales.length; block++) {
    const row = MXFP4_CODES * scales[block];
    for (let i = 0; i < BLOCK_BYTES; i++) {
      const byte = codes[block * BLOCK_BYTES + i];
      out[block * BLOCK + 2 * i] = TABLE[row + (byte & 15)];
      out[block * BLOCK + 2 * i + 1] = TABLE[row + (byte >> 4)];
    }
  }
}

/** Where the byte lies that has a value. */
function offsetIn({ blocks }: Quantised): (index: number) => number {
  return (index) => blocks.offset + Math.floor(index / 2);
}
