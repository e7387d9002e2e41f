import { type Block, ownersOf, type Ranking, sourceRanking, withUnits } from "@lopper/core";
import { type Model, weightsOfBlock } from "@lopper/models";
import { ownedByWeights } from "./rank_of_owners.ts";
import { descending, type RankedUnits } from "./ranked_units.ts";
import { ranks } from "./rankings/mod.ts";
import type { WeightRule } from "./rankings/rule.ts";

/**
 * All units of a model by a rule that needs its dense weights alone, most important first. Equal
 * ones keep the order of the checkpoint, and so do those of dimensions that the rule does not rank.
 * @param options.owned whether those are ranked, too, that experts own: it takes reading all of
 *   them. They are unless said.
 */
export async function rankByWeights(
  model: Model,
  rule: WeightRule,
  { owned = true }: { readonly owned?: boolean } = {},
): Promise<Ranking> {
  const { blocks } = model.architecture;
  const names = blocks.flatMap(({ dimensions }) => dimensions.map(({ name }) => name));
  let ranking = sourceRanking(blocks);
  for (const dimension of new Set(names)) {
    if (!ranks(rule, dimension)) continue;
    const units: (RankedUnits[number])[] = [];
    for (const block of blocks) {
      const isLeft = !owned && ownersOf(block, dimension) > 1;
      units.push(isLeft ? null : await unitsOf(model, block, dimension, rule));
    }
    ranking = withUnits(ranking, dimension, units);
  }
  return ranking;
}

async function unitsOf(
  model: Model,
  block: Block,
  dimension: string,
  rule: WeightRule,
): Promise<readonly number[] | null> {
  if (!block.dimensions.some(({ name }) => name === dimension)) return null;
  const owned = await ownedByWeights(model, block, dimension, rule);
  if (owned) return owned;
  const tensors = weightsOfBlock(model, block);
  const worth = await rule.worth(block, dimension, ({ name }) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new TypeError(`block ${block.id} has no weight ${name}`);
    return model.store.readFloat32(tensor.name);
  });
  return descending(worth);
}
