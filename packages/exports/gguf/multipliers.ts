import { type Architecture, type Block, haveWeight, outputProjection } from "@lopper/core";
import { fromFloat32, lengthToRead, type TensorInfo, type TensorStore } from "@lopper/formats";
import { type Model, outerWeight, type Weight, type WeightRole } from "@lopper/models";

/** Whether a model has multipliers that its weights can take over. */
export function hasMultipliers({ scaling, blocks, headDim }: Architecture): boolean {
  return scaling?.embedding !== undefined || scaling?.logits !== undefined ||
    blocks.some((block) => (block.multiplier ?? 1) !== 1 || queryFactor(block, headDim) !== 1);
}

/**
 * The same where weights took over what hidden states, scores and logits are multiplied with; an
 * embedding that is the LM head, too, becomes two, since each is multiplied with something else.
 */
export function withoutMultipliers(architecture: Architecture): Architecture {
  const { embedding: _, logits: __, ...scaling } = architecture.scaling ?? {};
  const { scaling: ___, ...rest } = architecture;
  return {
    ...rest,
    ...(Object.keys(scaling).length > 0 && { scaling }),
    tiedEmbeddings: architecture.tiedEmbeddings && !splitsEmbedding(architecture),
    blocks: architecture.blocks.map((block) => plainBlock(block, architecture.headDim)),
  };
}

function plainBlock({ multiplier: _, ...block }: Block, headDim: number): Block {
  const { attention } = block;
  return queryFactor(block, headDim) === 1
    ? block
    : { ...block, attention: { ...attention!, scale: 1 / Math.sqrt(headDim) } };
}

function splitsEmbedding({ scaling = {}, tiedEmbeddings }: Architecture): boolean {
  return tiedEmbeddings && (scaling.embedding ?? 1) !== (scaling.logits ?? 1);
}

/** What queries take over; nothing where a norm would undo it. */
function queryFactor(block: Block, headDim: number): number {
  const { attention } = block;
  if (!attention || haveWeight([block], "q_norm")) return 1;
  const factor = attention.scale * Math.sqrt(headDim);
  return Math.abs(factor - 1) > 1e-6 ? factor : 1;
}

/** A model whose weights have taken over its multipliers, in float32. */
export function withMultipliersInWeights(model: Model): Model {
  const { architecture, store } = model;
  const head: readonly Weight[] = splitsEmbedding(architecture)
    ? [{ role: { part: "lmHead" }, tensor: { ...outerWeight(model, "lmHead"), name: HEAD } }]
    : [];
  const scaled = new Map<string, Scaled>();
  const weights = [...model.weights, ...head].map((weight): Weight => {
    const factor = factorOf(weight.role, architecture);
    if (factor === 1 && weight.tensor.name !== HEAD) return weight;
    const { tensor } = weight;
    const from = tensor.name === HEAD ? outerWeight(model, "lmHead").name : tensor.name;
    const count = tensor.shape.reduce((product, d) => product * d, 1);
    const info: TensorInfo = { ...tensor, dtype: "F32", byteLength: 4 * count };
    scaled.set(tensor.name, { from, factor, info });
    return { ...weight, tensor: info };
  });
  return {
    ...model,
    architecture: withoutMultipliers(architecture),
    weights,
    store: new ScaledStore(store, scaled),
  };
}

/** What an embedding that became two is called as the LM head. */
const HEAD = "lm_head.weight";

function factorOf(role: WeightRole, { scaling = {}, blocks, headDim }: Architecture): number {
  if (!("layer" in role)) {
    if (role.part === "embedding") return scaling.embedding ?? 1;
    return role.part === "lmHead" ? scaling.logits ?? 1 : 1;
  }
  const block = blocks.find(({ layer, kind }) => layer === role.layer && kind === role.part)!;
  const { name } = outputProjection(block);
  if (role.weight === name || role.weight === `${name}_bias`) return block.multiplier ?? 1;
  return role.weight === "q" || role.weight === "q_bias" ? queryFactor(block, headDim) : 1;
}

interface Scaled {
  /** The tensor that it is made from. */
  readonly from: string;
  readonly factor: number;
  readonly info: TensorInfo;
}

class ScaledStore implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #base: TensorStore;
  readonly #scaled: ReadonlyMap<string, Scaled>;

  constructor(base: TensorStore, scaled: ReadonlyMap<string, Scaled>) {
    this.#base = base;
    this.#scaled = scaled;
    this.tensors = new Map([
      ...base.tensors,
      ...Array.from(scaled, ([name, { info }]): [string, TensorInfo] => [name, info]),
    ]);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const scaled = this.#scaled.get(name);
    if (!scaled) return await this.#base.readFloat32(name);
    return (await this.#base.readFloat32(scaled.from)).map((value) => scaled.factor * value);
  }

  async readBytes(name: string, byteOffset = 0, byteLength?: number): Promise<Uint8Array> {
    const scaled = this.#scaled.get(name);
    if (!scaled) return await this.#base.readBytes(name, byteOffset, byteLength);
    const length = lengthToRead(scaled.info, byteOffset, byteLength);
    const bytes = fromFloat32("F32", await this.readFloat32(name));
    return bytes.subarray(byteOffset, byteOffset + length);
  }

  async readHalves(name: string): Promise<Uint16Array> {
    if (this.#scaled.has(name)) throw new TypeError(`tensor ${name} is F32, not F16 or BF16`);
    return await this.#base.readHalves(name);
  }

  close() {
    this.#base.close();
  }
}
