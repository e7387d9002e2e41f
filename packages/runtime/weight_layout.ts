import {
  type Architecture,
  axisLength,
  type BlockSize,
  outputProjection,
  type Ranking,
  sourceRanking,
} from "@lopper/core";
import type { Model } from "@lopper/models";
import { BlockWeights } from "./block_weights.ts";
import type { LaidOutRows, LaidOutWeight } from "./laid_out_block.ts";
import { type ExpertWeight, ExpertWeights } from "./expert_weights.ts";
import { OuterWeights } from "./outer_weights.ts";
import { ownedUnits } from "./owned_units.ts";
import { SharedBuffer } from "./shared_buffer.ts";
import { ReadBlocks } from "./read_blocks.ts";
import { replaceFirst } from "./stored_tensor.ts";
import { Workspace } from "./workspace.ts";
import { expansionBytes, expertsOf, heldBlocks, heldExperts, keptWithin } from "./weight_memory.ts";

/** What lies in the blocks, by their numbers; those are missing that were not read. */
interface InnerWeights {
  readonly blocks: ReadonlyMap<number, BlockWeights>;
  readonly experts: ReadonlyMap<number, ExpertWeights>;
}

export interface LoadOptions {
  /** How units are laid out, the first ones first; without it, as in the checkpoint. */
  readonly ranking?: Ranking;
  /**
   * Bytes that half-precision matrices may take which are held in float32; without it, as many as
   * there are. What finds no room stays in half precision and is expanded for every use, which
   * takes longer and computes the same.
   */
  readonly expandedBytes?: number;
  /**
   * Bytes that the weights of experts may take as the file has them; without it, as many as there
   * are. What finds no room stays in the file, and is read whenever tokens go to an expert.
   */
  readonly expertBytes?: number;
  /**
   * Bytes that the other weights of blocks may take as the file has them; without it, as many as
   * there are. Blocks that find no room stay in the file, and are read whenever they run.
   */
  readonly blockBytes?: number;
  /** Keeps what is put in the place of weights that stay in the file; without it, memory does. */
  readonly workspace?: Workspace;
  /** The parts that will be used; without it, all. What is not read cannot be asked for. */
  readonly only?: { readonly layer: number } | "outer";
}

/**
 * The weights of a model, laid out so that a narrower block is a prefix: rows of every matrix in
 * the order of importance, `o` and `down` transposed. In float32 any width is then a view, without
 * a copy. Half-precision matrices are held in float32 as far as the budget goes; the others stay as
 * they are in the checkpoint and are expanded when they are used; and what there is no room for
 * stays in the file.
 *
 * What `block` and `lmHead` return may lie in a buffer that they share: it is good until either is
 * called again. Whoever feeds it to a graph waits for that run to end first, and two decoders do
 * not use the same weights at a time.
 */
export class LaidOutWeights {
  readonly architecture: Architecture;
  /** Gain and bias of the final norm, and the bias of the LM head, by the names of their feeds. */
  readonly headVectors: Readonly<Record<string, Float32Array>>;
  /** Learned positions, `[rows, hiddenSize]`; null where there are none. */
  readonly positions: Float32Array | null;
  /** Bytes of all weights as they are held at first; the shared buffer is apart. */
  readonly bytes: number;
  /** Those of `bytes` that are half-precision matrices in float32: at most `expandedBytes`. */
  readonly expandedBytesHeld: number;
  /** Room for what a computation leaves that goes on with these weights. */
  readonly workspace: Workspace;
  readonly #outer: OuterWeights;
  readonly #blocks: ReadBlocks;
  /** Of mixtures, by their numbers. */
  readonly #experts: ReadonlyMap<number, ExpertWeights>;
  #ranking: Ranking;
  readonly #buffer: SharedBuffer;

  private constructor(
    architecture: Architecture,
    outer: OuterWeights,
    { blocks, experts }: InnerWeights,
    ranking: Ranking,
    memory: { expandedBytesHeld: number; scratchBytes: number; workspace: Workspace },
  ) {
    this.architecture = architecture;
    this.headVectors = outer.headVectors;
    this.positions = outer.positions;
    this.#outer = outer;
    this.#blocks = new ReadBlocks(blocks);
    this.#experts = experts;
    this.#ranking = ranking;
    this.bytes = outer.bytes;
    for (const { bytes } of [...blocks.values(), ...experts.values()]) this.bytes += bytes;
    this.expandedBytesHeld = memory.expandedBytesHeld;
    this.workspace = memory.workspace;
    this.#buffer = new SharedBuffer(memory.scratchBytes);
  }

  /**
   * Reads every weight of `model`.
   * @throws {CheckpointFormatError} when a weight is NaN or infinite.
   */
  static async load(
    model: Model,
    {
      ranking = sourceRanking(model.architecture.blocks),
      expandedBytes = Infinity,
      expertBytes = Infinity,
      blockBytes = Infinity,
      workspace = new Workspace(),
      only,
    }: LoadOptions = {},
  ): Promise<LaidOutWeights> {
    const { architecture } = model;
    const wanted = (layer: number | null) =>
      only === undefined || (only === "outer" ? layer === null : layer === only.layer);
    const expansions = expansionBytes(model, wanted);
    const [held, withExperts] = [heldBlocks(model, blockBytes), heldExperts(model, expertBytes)];
    const inFile = new Set(architecture.blocks.flatMap(({ id }) => [
      ...held.has(id) ? [] : [id],
      ...withExperts.has(id) ? [] : [expertsOf(id)],
    ]));
    const sizes = [...expansions].flatMap(([part, { bytes }]): [string, number][] =>
      inFile.has(part) ? [] : [[part, bytes]]
    );
    const kept = keptWithin(new Map(sizes), expandedBytes);
    const outer = await OuterWeights.read(model, kept, wanted(null));
    const blocks = new Map<number, BlockWeights>(), experts = new Map<number, ExpertWeights>();
    for (const [number, block] of architecture.blocks.entries()) {
      if (!wanted(block.layer)) continue;
      const read = { held: held.has(block.id), float32: kept.has(block.id) };
      blocks.set(number, await BlockWeights.load(model, block, ranking[number]!, read));
      if (!block.routing) continue;
      const how = { held: withExperts.has(block.id), float32: kept.has(expertsOf(block.id)) };
      experts.set(number, await ExpertWeights.load(model, block, how));
    }
    const memory = { expandedBytesHeld: 0, scratchBytes: 0, workspace };
    for (const [part, { bytes, used }] of expansions) {
      if (kept.has(part)) memory.expandedBytesHeld += bytes;
      else memory.scratchBytes = Math.max(memory.scratchBytes, used);
    }
    return new LaidOutWeights(architecture, outer, { blocks, experts }, ranking, memory);
  }

  /**
   * The output projection of a block of this size, transposed: of the units that are there, in
   * float32; good until the next call.
   */
  async output(number: number, size: BlockSize): Promise<LaidOutRows> {
    const { name } = outputProjection(this.architecture.blocks[number]);
    return (await this.block(number, size, [name]))[0];
  }

  /**
   * The output projection of a block of this size, replaced; values are rounded to what the
   * checkpoint can hold. Returns the values of before.
   * @param columns as `output` has them.
   */
  async replaceOutput(
    number: number,
    size: BlockSize,
    columns: Float32Array,
  ): Promise<Float32Array> {
    const { name } = outputProjection(this.architecture.blocks[number]);
    const weights = this.#blocks.of(number), units = this.#ranking[number]!;
    const weight = (await weights.all(units, [name])).get(name)!;
    const before = this.#first([[name, weight]], size)[0].data.slice();
    if (columns.length !== before.length) {
      throw new RangeError(`${columns.length} values do not replace ${before.length} of ${name}`);
    }
    replaceFirst(weight.tensor, columns);
    this.#buffer.forget();
    await weights.replace(name, weight, units, this.workspace);
    this.#blocks.forget();
    return before;
  }

  /**
   * Gives back the memory that matrices are expanded in until one is used again. Nothing that
   * `block` and `lmHead` returned is good any more.
   */
  release() {
    this.#blocks.release();
    this.#buffer.release();
  }

  /** What the outputs of a mixture's first experts are multiplied with, as they lie. */
  expertScales(number: number, size: BlockSize): Float32Array {
    return this.#expertsOf(number).scales(this.#unitsOf(number, size));
  }

  /**
   * Multiplies with others, one for each of the experts that are there; values are rounded to what
   * the checkpoint can hold. Returns those of before.
   */
  replaceExpertScales(number: number, size: BlockSize, scales: Float32Array): Float32Array {
    return this.#expertsOf(number).scale(this.#unitsOf(number, size), scales);
  }

  /** How the units lie now. */
  get ranking(): Ranking {
    return this.#ranking;
  }

  /**
   * Lays the units out by another ranking, one tensor at a time. What was computed before with a
   * narrower block is no longer what these weights compute: hidden states that were kept, and
   * copies on a device, are out of date.
   * @throws {RangeError} when the ranking is not one of the same units.
   */
  rearrange(ranking: Ranking) {
    this.#blocks.rearrange(this.architecture.blocks, this.#ranking, ranking);
    this.#ranking = ranking;
  }

  /** Blocks of which weights stay in the file, those of experts not counted. */
  get blocksInFile(): number {
    return this.#blocks.inFile;
  }

  /** As `OuterWeights` has them. */
  embed(ids: readonly number[], positions: readonly number[]): Float32Array {
    return this.#outer.embed(ids, positions);
  }

  /** As `OuterWeights` has them. */
  rowsOf(ids: readonly number[]): Float32Array {
    return this.#outer.rowsOf(ids);
  }

  /**
   * The LM head in float32, `[vocabSize, hiddenSize]`; good until `block` or `lmHead` is called
   * again.
   */
  lmHead(): Float32Array {
    const tensor = this.#outer.lmHead;
    return this.#buffer.float32([{ tensor, length: tensor.data.length }])[0];
  }

  /**
   * The weights of one expert of a mixture in float32, as the checkpoint has them; good until the
   * next call.
   * @param place of the expert as they lie: the first ones are those of a narrower block.
   * @throws {CheckpointFormatError} when a weight that is read from the file is NaN or infinite.
   */
  expert(number: number, place: number, size: BlockSize): Promise<readonly ExpertWeight[]> {
    const block = this.architecture.blocks[number], ranking = this.#ranking[number]!;
    const unit = ranking[block.dimensions[0].name][place];
    let used = 0;
    return this.#expertsOf(number).expert(
      unit,
      ownedUnits(block, size, ranking)?.[unit] ?? null,
      (values) => this.#buffer.room(used, used += values),
    );
  }

  /**
   * The weights of a block of this size in float32, but for those that are stacked, or of these
   * those that are named; good until the next call.
   * @throws {CheckpointFormatError} when a weight that is read from the file is NaN or infinite.
   */
  async block(
    number: number,
    size: BlockSize,
    names?: readonly string[],
  ): Promise<readonly LaidOutRows[]> {
    return this.#first(await this.#blocks.all(number, this.#ranking[number]!, names), size);
  }

  /** The first rows of weights, as many as a block of this size has. */
  #first(
    weights: Iterable<readonly [name: string, LaidOutWeight]>,
    size: BlockSize,
  ): readonly LaidOutRows[] {
    const parts = [...weights].map(([name, { tensor, rowLength, rows }]) => {
      const count = axisLength(rows, size);
      return { name, rows: count, tensor, length: count * rowLength };
    });
    const data = this.#buffer.float32(parts);
    return parts.map(({ name, rows }, i) => ({ name, rows, data: data[i] }));
  }

  #expertsOf(number: number): ExpertWeights {
    const experts = this.#experts.get(number);
    if (!experts) throw new TypeError(`the experts of block ${number} were not read`);
    return experts;
  }

  /** The experts of a mixture of this size, by their numbers in the checkpoint. */
  #unitsOf(number: number, size: BlockSize): readonly number[] {
    const [{ name }] = this.architecture.blocks[number].dimensions;
    return this.#ranking[number]![name].slice(0, size[name]);
  }
}
