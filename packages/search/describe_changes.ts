import { type Candidate, type Change, plural } from "@lopper/core";
import { type CandidateKey, cutsOf } from "./candidate_key.ts";
import { DIMENSIONS } from "./dimensions/list.ts";
import { placeOfPart } from "./part.ts";

/**
 * What changes took, in words: "attention of layer 3", "layer 3", "16 channels of the MLP of layer
 * 2".
 */
export function describeChanges(changes: Candidate): string {
  const [{ part, dimension }] = changes;
  if (changes.length === 1) return changeWords(changes[0]);
  const layers = new Set(changes.map((change) => placeOfPart(change.part).layer));
  if (changes.every((change) => change.dimension === null) && layers.size === 1) {
    return `layer ${placeOfPart(part).layer}`;
  }
  if (dimension !== null && changes.every((change) => change.dimension === dimension)) {
    const units = changes.reduce((sum, { removed }) => sum + removed.length, 0);
    return `${unitWords(units, dimension)} of ${plural(layers.size, "layer")}`;
  }
  return changes.length > MAX_NAMED ? counted(changes) : changes.map(changeWords).join(", ");
}

/** Changes that are named one by one, at most. */
const MAX_NAMED = 3;

/** So many changes that they are counted: "2 MLPs, 320 channels". */
function counted(changes: Candidate): string {
  const alike = Map.groupBy(
    changes,
    ({ part, dimension }) => dimension ?? kindLabel(placeOfPart(part).kind),
  );
  return [...alike].map(([what, those]) => {
    if (those[0].dimension === null) return plural(those.length, what);
    return unitWords(those.reduce((sum, { removed }) => sum + removed.length, 0), what);
  }).join(", ") + ` of ${plural(new Set(changes.map(({ part }) => part)).size, "block")}`;
}

/** What a candidate of that name would leave, in words: "MLP of layer 2 with 48 channels". */
export function describeKey(key: CandidateKey): string {
  return cutsOf(key).map(({ part, dimension, left }) =>
    dimension === null
      ? `${blockWords(part)} removed`
      : `${blockWords(part)} with ${unitWords(left, dimension)}`
  ).join(", ");
}

function changeWords({ part, dimension, removed }: Change): string {
  return dimension === null
    ? blockWords(part)
    : `${unitWords(removed.length, dimension)} of the ${blockWords(part)}`;
}

/** All units of a dimension, in words: "MLP channels". */
export function unitsLabel(dimension: string): string {
  return DIMENSIONS.find(({ name }) => name === dimension)?.units ?? dimension;
}

/** "1 channel", "16 channels". */
function unitWords(count: number, dimension: string): string {
  const known = DIMENSIONS.find(({ name }) => name === dimension);
  return known ? plural(count, known.unit) : `${count} ${dimension}`;
}

function blockWords(part: string): string {
  return blockLabel(placeOfPart(part));
}

/** A block in words: "MLP of layer 3". */
export function blockLabel(
  { layer, kind }: { readonly layer: number; readonly kind: string },
): string {
  return `${kindLabel(kind)} of layer ${layer}`;
}

/** A kind of block in words. */
export function kindLabel(kind: string): string {
  if (kind === "experts") return "mixture of experts";
  return kind === "mlp" ? "MLP" : kind;
}
