import type { Attention } from "./attention.ts";
import type { Axis, UnitAxis } from "./axis.ts";
import type { Gating, Routing } from "./routing.ts";

/**
 * The anatomy of a model as data: a residual block is a list of weights, and each axis of a weight
 * says whether pruning may shorten it. Shapes, parameter and MAC counts, prune groups, rankings and
 * writers follow from that, and so does what happens to a block of a kind that nobody has thought
 * of yet.
 */

/**
 * One weight of a block; `axes` are `[out, in]` of a matrix and `[n]` of a bias or a norm, behind
 * those of the units where it is stacked.
 */
export interface DeclaredWeight {
  /** Its name in the block, the same in every family: "q", "down", … */
  readonly name: string;
  readonly axes: readonly Axis[];
  /**
   * It scales hidden states, and the published pruning ratio counts it even where the block is
   * gone.
   */
  readonly norm?: true;
  /** The block before it in its layer has the same one: where both are there, it is one tensor. */
  readonly shared?: true;
  /** It is a matrix or a bias for each unit of its first axis, of which a token uses a few. */
  readonly stacked?: true;
}

/**
 * What a block can lose a part of: `units` of them are in the checkpoint, and the last one only
 * goes with the block.
 */
export interface Dimension {
  /** Says what a unit is: "channels", "kvGroups", … */
  readonly name: string;
  readonly units: number;
  /**
   * Units lie in so many groups, one behind the other, which lose equally many each; in one unless
   * said.
   */
  readonly groups?: number;
  /**
   * So many owners, the experts of a mixture, have these units each, and lose equally many, each
   * its own. Changes, plans and rankings call unit u of owner o number o · units + u, those of
   * owners included that are gone.
   */
  readonly owners?: number;
}

/**
 * Where the norms of a residual block are: before what it computes, h ← h + f(norm(h)), behind it,
 * h ← h + norm(f(h)) (OLMo 2, arXiv 2501.00656), where it scales what the block adds, or both,
 * h ← h + post_norm(f(norm(h))) (Gemma 2, arXiv 2408.00118).
 */
export type NormPlacement = "pre" | "post" | "both";

/** What an MLP applies to each channel, as transformers names it. */
export type Activation = "silu" | "gelu" | "gelu_pytorch_tanh" | "relu" | "relu2";

/** A residual block: it adds something to the hidden states. */
export interface Block {
  /** Names it in plans, journals and messages, and among the blocks of its model: "3.attention". */
  readonly id: string;
  readonly layer: number;
  /** What computes it: "attention", "mlp", "experts", … */
  readonly kind: string;
  /** "pre" unless said. */
  readonly placement?: NormPlacement;
  /**
   * It reads what the block before it in its layer reads, and adds to what that one puts out
   * (GPT-J's parallel layers); where the layer has none before it, it is like any other.
   */
  readonly parallel?: true;
  /** What it adds is multiplied with that; 1 unless said. */
  readonly multiplier?: number;
  /** SiLU unless said. */
  readonly activation?: Activation;
  readonly dimensions: readonly Dimension[];
  readonly weights: readonly DeclaredWeight[];
  /** Where its tokens see one another. */
  readonly attention?: Attention;
  /** Where its tokens go to some of its units each: its stacked weights are theirs. */
  readonly routing?: Routing;
  /** How gate and up of its MLPs go together where it is not by a product alone. */
  readonly gating?: Gating;
}

/** The id of the one block of a kind that a layer has. */
export function blockId(layer: number, kind: string): string {
  return `${layer}.${kind}`;
}

const PLACES = new WeakMap<readonly Block[], ReadonlyMap<string, number>>();

/** The place of a block among those of its model, by its id; −1 where it has no such block. */
export function indexOfPart(blocks: readonly Block[], part: string): number {
  const known = PLACES.get(blocks) ?? new Map(blocks.map(({ id }, i) => [id, i]));
  PLACES.set(blocks, known);
  return known.get(part) ?? -1;
}

/**
 * True when two blocks are the same but for their place, and for how far and by which positions
 * their tokens see one another: configs say that by layer.
 */
export function areAlike(a: Block, b: Block): boolean {
  const rest = ({ id: _, layer: __, attention, ...block }: Block) =>
    JSON.stringify([block, attention?.channels]);
  return a === b || rest(a) === rest(b);
}

/** Units that a block has, by dimension; each is above 0. */
export type BlockSize = Readonly<Record<string, number>>;

/** Sizes of the blocks of a model, in their order; null where the block is gone. */
export type Shape = readonly (BlockSize | null)[];

/** How large a block is in its checkpoint. */
export function sizeOf({ dimensions }: Block): BlockSize {
  return Object.fromEntries(dimensions.map(({ name, units }) => [name, units]));
}

/** All blocks in their full sizes. */
export function denseShape(blocks: readonly Block[]): Shape {
  return blocks.map(sizeOf);
}

/** Length of an axis in a block of this size. */
export function axisLength(axis: Axis, size: BlockSize): number {
  return typeof axis === "number" ? axis : axis.width * size[axis.dimension];
}

/** The shape of a weight in a block of this size, `[out, in]` or `[n]`. */
export function weightShape({ axes }: DeclaredWeight, size: BlockSize): readonly number[] {
  return axes.map((axis) => axisLength(axis, size));
}

/**
 * Parameters of a block of this size.
 * @param norms whether those count that scale hidden states.
 */
export function parametersOfBlock(
  { weights }: Block,
  size: BlockSize,
  { norms }: { readonly norms: boolean },
): number {
  return weights.reduce(
    (sum, weight) => weight.norm && !norms ? sum : sum + product(weightShape(weight, size)),
    0,
  );
}

/**
 * Multiply-accumulates per token of a block in a causal sequence of `length` tokens (mean over its
 * positions).
 */
export function macsOfBlock(block: Block, size: BlockSize, length: number): number {
  const products = block.weights.filter(isMatrix).reduce(
    (sum, weight) => sum + product(weightShape(weight, size)) * shareUsed(block, weight, size),
    0,
  );
  // Scores and weighted values, each over (length + 1) / 2 positions on average under the causal
  // mask.
  const attended = block.attention ? axisLength(block.attention.channels, size) : 0;
  return products + attended * (length + 1);
}

/** Whether a weight is multiplied with activations: a matrix, or one for each unit. */
function isMatrix({ axes, stacked }: DeclaredWeight): boolean {
  return axes.length === (stacked ? 3 : 2);
}

/** Which share of a weight a token uses. */
function shareUsed({ routing }: Block, weight: DeclaredWeight, size: BlockSize): number {
  if (!weight.stacked || !routing) return 1;
  const [units] = weightShape(weight, size);
  return Math.min(routing.topK, units) / units;
}

/** The places along an axis that belong to these units of the block, in their order. */
export function unitIndices({ width }: UnitAxis, units: readonly number[]): Uint32Array {
  const indices = new Uint32Array(units.length * width);
  units.forEach((unit, i) => {
    for (let j = 0; j < width; j++) indices[i * width + j] = unit * width + j;
  });
  return indices;
}

/**
 * The axis of a weight that pruning may shorten, and its place: 0 for rows, 1 for columns;
 * undefined where none. Of a stacked weight, that of the units that have one each.
 */
export function unitAxis(
  { axes }: DeclaredWeight,
): (UnitAxis & { readonly at: number }) | undefined {
  const at = axes.findIndex((axis) => typeof axis !== "number");
  return at < 0 ? undefined : { ...axes[at] as UnitAxis, at };
}

/**
 * The projection by which a block writes what it adds to the hidden states: its units lie along the
 * inputs.
 * @throws {TypeError} when no weight of the block has them there.
 */
export function outputProjection(
  block: Block,
): DeclaredWeight & { readonly axes: [Axis, UnitAxis] } {
  const found = findOutputProjection(block);
  if (!found) throw new TypeError(`block ${block.id} has no output projection`);
  return found as DeclaredWeight & { readonly axes: [Axis, UnitAxis] };
}

/** Whether all units of a block write through one projection: those of a mixture have their own. */
export function hasOutputProjection(block: Block): boolean {
  return findOutputProjection(block) !== undefined;
}

/**
 * Whether the experts of a mixture write by this weight: all that they put out is multiplied with a
 * number where their parts of these are.
 */
export function isExpertOutput({ name, stacked }: DeclaredWeight): boolean {
  return stacked === true && (name === "down" || name === "down_bias");
}

function findOutputProjection({ weights, routing }: Block): DeclaredWeight | undefined {
  // What writes for all tokens there does not write for all units.
  if (routing) return undefined;
  return weights.find((weight) => unitAxis(weight)?.at === 1);
}

/**
 * The units by which a block is large or small, and how many inner channels one has: those along
 * its output projection, or the experts of a mixture, which have one projection each.
 */
export function mainUnits(block: Block): UnitAxis {
  if (hasOutputProjection(block)) return outputProjection(block).axes[1];
  const [main] = block.dimensions;
  if (!main) throw new TypeError(`block ${block.id} has no units`);
  return { dimension: main.name, width: 1 };
}

/**
 * The shape of the weight of this name in a block of this size.
 * @throws {TypeError} when the block has no such weight.
 */
export function shapeOfWeight(
  block: Block,
  name: string,
  size: BlockSize = sizeOf(block),
): readonly number[] {
  const weight = block.weights.find((declared) => declared.name === name);
  if (!weight) throw new TypeError(`block ${block.id} has no weight ${name}`);
  return weightShape(weight, size);
}

/** Whether any of the blocks has a weight of one of these names. */
export function haveWeight(blocks: readonly Block[], ...names: readonly string[]): boolean {
  return blocks.some(({ weights }) => weights.some(({ name }) => names.includes(name)));
}

/** Inputs of a block's output projection: its intermediate or query channels. */
export function innerWidth(block: Block, size: BlockSize): number {
  return axisLength(outputProjection(block).axes[1], size);
}

/** Inputs of the widest output projection; 1 where no block has one. */
export function widestInner(blocks: readonly Block[]): number {
  const projected = blocks.filter(hasOutputProjection);
  return Math.max(1, ...projected.map((block) => innerWidth(block, sizeOf(block))));
}

/** Blocks that a model of this shape has. */
export function blocksLeft(shape: Shape): number {
  return shape.filter((size) => size !== null).length;
}

function product(lengths: readonly number[]): number {
  return lengths.reduce((all, length) => all * length, 1);
}
