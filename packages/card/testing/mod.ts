export { FACTS as CARD_FACTS, SCORES as CARD_SCORES } from "./facts.ts";
export { hubMetadata } from "./hub_metadata.ts";
