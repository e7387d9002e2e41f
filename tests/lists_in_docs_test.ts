import { CRITERION_NAMES, RANKING_CHOICES } from "@lopper/importance";
import { FAMILIES, WRAPPERS } from "@lopper/models";
import assert from "node:assert/strict";

/** The first cells of the rows of the table on a page whose first heading is `heading`. */
async function rowsOf(page: string, heading: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(new URL(`../docs/${page}`, import.meta.url));
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| \`${heading}\``));
  assert.ok(start >= 0, `${page} has a table of ${heading}`);
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith("|"));
  return rows.slice(0, end).map((line) => line.split("|")[1].trim().replaceAll("`", ""));
}

Deno.test("docs: every ranking and every criterion has a row, and nothing else has", async () => {
  const tables = [
    ["presets.md", "--ranking", RANKING_CHOICES],
    ["search.md", "--criterion", CRITERION_NAMES],
  ] as const;
  for (const [page, option, names] of tables) {
    assert.deepEqual((await rowsOf(page, option)).toSorted(), names.toSorted(), option);
  }
});

Deno.test("docs: every family has a row, and nothing else has", async () => {
  const tables = [["model_type", FAMILIES], ["text_config", WRAPPERS]] as const;
  for (const [heading, list] of tables) {
    const types = list.map(({ modelType }) => modelType);
    assert.deepEqual((await rowsOf("models.md", heading)).toSorted(), types.toSorted(), heading);
  }
});
