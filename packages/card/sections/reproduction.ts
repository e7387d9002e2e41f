import type { CardFacts } from "../facts.ts";
import { codeBlock, codeText, quoted, table } from "../markdown.ts";

/** The command that makes the same, and digests by which that is seen. */
export function reproductionSection({ commands, digests, method }: CardFacts): string {
  const lines = commands.map((words) =>
    ["lopper", "prune", ...words.map((word) => quoted(withoutFolders(word)))].join(" ")
  );
  return `## Make it again

${codeBlock("sh", lines)}

${
    table(
      ["SHA-256 of", ""],
      Object.entries(digests).map((
        [what, digest],
      ) => [what, codeText(digest.replace(/^sha256:/, ""))]),
    )
  }

Models are digested as shapes and weights, however they lie in files, and texts as token ids. Where
they lie beside this card, \`run.json\` has all that the run depended on, decided and measured${
    method.steps === null ? "" : ", `journal.jsonl` every score of its search"
  }, and \`report.html\` is a page about it.`;
}

/** Where files lay on somebody's machine is nobody else's business. */
function withoutFolders(word: string): string {
  return word.replace(/^(?:[A-Za-z]:)?[\\/](?:.*[\\/])?(?=[^\\/])/, "");
}
