import type { CardSource } from "../facts.ts";
import { plainText } from "../markdown.ts";
import { HUB_ID } from "../source_metadata.ts";

/** The model that was pruned, with a link where it is known to lie on the hub. */
export function baseModel({ id, title }: CardSource): string {
  return id !== null && HUB_ID.test(id)
    ? `[${plainText(id)}](https://huggingface.co/${id})`
    : plainText(title);
}
