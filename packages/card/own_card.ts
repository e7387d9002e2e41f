import { sha256 } from "@lopper/core";

/**
 * The last line of a card, which nobody sees: by it is known whether the text was changed since.
 */
const SEAL = /\n<!-- written by Lopper (sha256:[0-9a-f]{64}) -->\n$/;

const digestOf = (text: string) => sha256(new TextEncoder().encode(text));

/** A card with that line. */
export async function sealedCard(text: string): Promise<string> {
  return `${text}\n<!-- written by Lopper ${await digestOf(text)} -->\n`;
}

/** Whether a card is as Lopper wrote it: what somebody made of it is theirs. */
export async function isOwnCard(card: string): Promise<boolean> {
  const [seal, digest] = SEAL.exec(card) ?? [];
  return seal !== undefined && digest === await digestOf(card.slice(0, -seal.length));
}
