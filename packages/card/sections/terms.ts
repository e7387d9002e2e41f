import type { CardFacts } from "../facts.ts";
import { codeText, plainText } from "../markdown.ts";
import { baseModel } from "./base_model.ts";

/** Under which terms it may be used: those of the model that it is a part of. */
export function termsSection({ source }: CardFacts): string {
  const { metadata, terms } = source;
  const license = metadata?.license.join(", ") ?? "";
  const named = license === "" ? "" : ` Its card names the licence ${plainText(license)}.`;
  const beside = terms.length === 0
    ? ""
    : ` ${terms.map(codeText).join(", ")} came along, unchanged.`;
  return `## Licence

It is a part of ${baseModel(source)}, whose terms hold for it.${named}${beside}`;
}
