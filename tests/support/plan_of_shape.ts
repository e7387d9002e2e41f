import {
  type Architecture,
  type KeptUnits,
  ownersOf,
  planOfKept,
  type PrunePlan,
  type Ranking,
  type Shape,
  sourceRanking,
} from "@lopper/core";

/** The plan that leaves a shape of a model: in every block the first units of a ranking. */
export function planOfShape(
  architecture: Architecture,
  shape: Shape,
  ranking: Ranking = sourceRanking(architecture.blocks),
): PrunePlan {
  const kept = shape.map((size, number): KeptUnits | null =>
    size && Object.fromEntries(
      Object.entries(size).map(([dimension, units]) => [
        dimension,
        ranking[number]![dimension]
          .slice(0, units * ownersOf(architecture.blocks[number], dimension)).sort((a, b) => a - b),
      ]),
    )
  );
  return planOfKept(architecture, kept, { modelDigest: "sha256:test", removalOrder: [] });
}
