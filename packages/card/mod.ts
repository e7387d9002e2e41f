export { modelCard } from "./model_card.ts";
export type { CardFacts, CardScores, ScoredTask } from "./facts.ts";
export {
  describeRemoved,
  expertChannels,
  type LayersBefore,
  mlpHeading,
  mlpLeft,
  mlpShare,
  mlpUnits,
  mostUnits,
  removedOf,
} from "./layers.ts";
export { isOwnCard } from "./own_card.ts";
export {
  CARD_FILE,
  type CardMetadata,
  cardMetadata,
  metadataOf,
  readCardMetadata,
} from "./source_metadata.ts";
