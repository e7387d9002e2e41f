/**
 * Writes the table of docs/families.md, between two markers, from what the checks of each family
 * find.
 *
 * Usage: deno task families:table
 */
import { openBackend } from "@lopper/backends";
import {
  checkFamily,
  COLUMNS,
  type FamilyRow,
  fixturesByFamily,
} from "../tests/support/family_checks.ts";
import { markdown, numbered } from "./markdown.ts";

/** The page that has the table. */
export const PAGE = new URL("../docs/families.md", import.meta.url);
const BEGIN = "<!-- families: written by `deno task families:table` -->";
const END = "<!-- end of the families -->";

/** The table as Markdown, with a note for every cell that does not hold. */
export function familyTable(rows: ReadonlyMap<string, FamilyRow>): string {
  const notes: string[] = [];
  const cell = (verdict: FamilyRow[keyof FamilyRow]) => {
    if ("holds" in verdict) return "✓";
    if (!notes.includes(verdict.refused)) notes.push(verdict.refused);
    return `– (${notes.indexOf(verdict.refused) + 1})`;
  };
  const lines = [
    ["`model_type`", ...COLUMNS],
    ...Array.from(rows, ([type, row]) => [`\`${type}\``, ...COLUMNS.map((c) => cell(row[c]))]),
  ];
  return [markdown(lines), ...(notes.length > 0 ? [numbered(notes)] : [])].join("\n\n");
}

/** The table that a page has. @throws {Error} when it has none. */
export function tableOf(page: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/families.md has no ${BEGIN} … ${END}`);
  return page.slice(from + BEGIN.length, to).trim();
}

if (import.meta.main) {
  const [{ backend: cpu }, { backend: wasm }] = [
    await openBackend("cpu", { threads: 1 }),
    await openBackend("wasm", { threads: 1 }),
  ];
  const rows = new Map<string, FamilyRow>();
  for (const [type, fixture] of await fixturesByFamily()) {
    rows.set(type, await checkFamily(fixture, { cpu, wasm }));
  }
  const page = await Deno.readTextFile(PAGE);
  const table = familyTable(rows);
  await Deno.writeTextFile(PAGE, page.replace(tableOf(page), () => table));
  Deno.exit(0);
}
