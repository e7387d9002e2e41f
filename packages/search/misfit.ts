import {
  type BlockKind,
  groupSize,
  innerWidth,
  type LayerSpec,
  type ModelSpec,
} from "@lopper/core";
import { blockOf, type CandidateName, removedBlocks } from "./candidate.ts";

/**
 * Why nothing of that name can go from layers: it names a layer or a block that is not there, or a width that a block
 * cannot come down to. Null where it can go.
 * @param spec the dense model.
 */
export function misfit(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  name: CandidateName,
): string | null {
  const { kind, layer, width } = name;
  const outside = unknownLayer(spec, layer);
  if (outside) return outside;
  const blocks = removedBlocks(name);
  if (blocks.length > 0) {
    const gone = blocks.find((block) => layers[block.layer][block.kind] === null);
    if (gone) return `${wordsOf(gone.kind)} of layer ${layer} is gone already`;
    return width === 0 ? null : `what is left of a block that goes is ${width} wide; it needs 0`;
  }
  const everywhere = kind === "all_mlp_channels" || kind === "all_attention_heads";
  const part: BlockKind = kind === "mlp_channels" || kind === "all_mlp_channels"
    ? "mlp"
    : "attention";
  const first = layers.findIndex((shape) => shape[part]);
  if (everywhere && layer !== first) return `layer ${layer} is not the first with such a block`;
  for (const [i, shape] of layers.entries()) {
    if (everywhere ? !shape[part] : i !== layer) continue;
    const before = innerWidth(spec, shape, part);
    if (before === 0) return `${wordsOf(part)} of layer ${i} is gone already`;
    if (!(width > 0 && width < before) || !isWhole(spec, i, part, width)) {
      return `${wordsOf(part)} of layer ${i} is ${before} wide and cannot come down to ${width}`;
    }
  }
  return null;
}

/** The same of a block or a part of one that comes back: it has to become wider, as wide as it was at most. */
export function misfitBack(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  name: CandidateName,
): string | null {
  const { layer, width, kind } = name;
  const outside = unknownLayer(spec, layer);
  if (outside) return outside;
  if (kind !== "mlp_channels" && kind !== "attention_heads") return `nothing comes back as ${kind}`;
  const part = blockOf(name).kind;
  const before = innerWidth(spec, layers[layer], part);
  const whole = innerWidth(spec, spec.layers[layer], part);
  return width > before && width <= whole && isWhole(spec, layer, part, width)
    ? null
    : `${
      wordsOf(part)
    } of layer ${layer} is ${before} of ${whole} wide and cannot come back to ${width}`;
}

export function unknownLayer({ layers }: ModelSpec, layer: number): string | null {
  return layer < layers.length
    ? null
    : `it names layer ${layer}, and the model has ${layers.length}`;
}

/** Whether a width is made of whole units. */
function isWhole(spec: ModelSpec, layer: number, part: BlockKind, width: number): boolean {
  if (part === "mlp") return true;
  const { attention } = spec.layers[layer];
  return attention !== null && width % (spec.headDim * groupSize(attention)) === 0;
}

function wordsOf(kind: BlockKind): string {
  return kind === "mlp" ? "the MLP" : "the attention";
}

/** Whether a recorded number is what it is computed to be anew: the same sums, up to rounding. */
export function agrees(recorded: number, computed: number): boolean {
  return Math.abs(recorded - computed) <= 1e-9 * Math.max(1, Math.abs(computed));
}
