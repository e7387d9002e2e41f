import { formatRatio } from "@lopper/core";
import type { CardFacts } from "./facts.ts";
import { frontMatter } from "./front_matter.ts";
import { plainText } from "./markdown.ts";
import { sealedCard } from "./own_card.ts";
import { removedSection } from "./sections/removed.ts";
import { reproductionSection } from "./sections/reproduction.ts";
import { methodSection } from "./sections/method.ts";
import { scoresSection } from "./sections/scores.ts";
import { sizeSection } from "./sections/size.ts";
import { termsSection } from "./sections/terms.ts";
import { useSection } from "./sections/use.ts";

/**
 * The card of a pruned model: what a person who finds it wants to know, with the metadata by which
 * the hub files it. The same facts always give the same text. Names and texts come from strangers'
 * files, and are shown as they are.
 */
export async function modelCard(facts: CardFacts): Promise<string> {
  return await sealedCard(cardText(facts));
}

/** The text of a card, before what tells whether it was changed. */
export function cardText(facts: CardFacts): string {
  const title = `${facts.source.title}, pruned by ${formatRatio(facts.ratio)}`;
  const sections = [
    sizeSection(facts),
    removedSection(facts),
    methodSection(facts),
    scoresSection(facts),
    useSection(facts),
    reproductionSection(facts),
    termsSection(facts),
  ];
  const text = sections.filter((section) => section !== null).join("\n\n");
  return `${frontMatter(facts, title)}\n# ${plainText(title)}\n\n${text}\n`;
}
