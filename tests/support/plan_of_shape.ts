import {
  type KeptUnits,
  type ModelSpec,
  planOfKept,
  type PrunePlan,
  type Ranking,
  type Shape,
  sourceRanking,
} from "@lopper/core";

/** The plan that leaves a shape of a model: in every block the first units of a ranking. */
export function planOfShape(
  spec: ModelSpec,
  shape: Shape,
  ranking: Ranking = sourceRanking(spec.blocks),
): PrunePlan {
  const kept = shape.map((size, number): KeptUnits | null =>
    size && Object.fromEntries(
      Object.entries(size).map(([dimension, units]) => [
        dimension,
        ranking[number]![dimension].slice(0, units).sort((a, b) => a - b),
      ]),
    )
  );
  return planOfKept(spec, kept, { modelDigest: "sha256:test", removalOrder: [] });
}
