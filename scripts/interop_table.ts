/**
 * Writes the tables of docs/readers.md, between two markers, from tests/interop/results.json.
 *
 * Usage: deno task interop:table
 */
import {
  allCells,
  type Cell,
  cellKey,
  isQuantised,
  OWN_QUANTISER,
  readResults,
  type Row,
  ROWS,
  SUBJECTS,
} from "../tests/support/interop_results.ts";
import { markdown, numbered, wrapped } from "./markdown.ts";

/** The page that has the tables. */
export const PAGE = new URL("../docs/readers.md", import.meta.url);
export const BEGIN = "<!-- interop tables: written by `deno task interop:table` -->";
export const END = "<!-- end of the interop tables -->";

/**
 * Both tables as Markdown, with a note for every cell that has no figures.
 * @throws {Error} when a cell is missing, or the cells of a row are of several versions of their
 *   reader.
 */
export function interopTables(cells: readonly Cell[]): string {
  const byKey = new Map(cells.map((cell) => [cellKey(cell), cell]));
  for (const place of allCells()) {
    if (!byKey.has(cellKey(place))) throw new Error(`no result for ${cellKey(place)}`);
  }
  const notes: string[] = [];
  const table = (rows: readonly Row[]) =>
    markdown([
      ["format", "weights", "reader", ...SUBJECTS.map(headOf)],
      ...rows.map((row) => {
        const found = SUBJECTS.map((subject) => byKey.get(cellKey({ ...row, ...subject }))!);
        return [row.format, row.weights, readerOf(row, found), ...found.map(shown(notes))];
      }),
    ]);
  const exact = table(ROWS.filter(({ weights }) => !isQuantised(weights)));
  const quantised = table(ROWS.filter(({ weights }) => isQuantised(weights)));
  return [
    "The largest difference of two logits, where weights are not quantised:",
    exact,
    wrapped(
      "Where they are, the KL divergence in nats a token, and the share of tokens after which the same one is likeliest:",
    ),
    quantised,
    numbered(notes),
  ].join("\n\n");
}

function headOf({ model, shape }: typeof SUBJECTS[number]): string {
  return shape === "dense" ? model : `${model}, pruned`;
}

function readerOf({ reader, weights, format }: Row, cells: readonly Cell[]): string {
  const versions = [...new Set(cells.map(({ version }) => version))];
  if (versions.length !== 1) {
    throw new Error(`${reader}, ${format} ${weights}: versions ${versions.join(" and ")}`);
  }
  return reader === OWN_QUANTISER ? `… ${reader}` : `${reader} ${versions[0]}`;
}

/** The text of a cell; what is to be said of it goes among the notes. */
function shown(notes: string[]): (cell: Cell) => string {
  const mark = (note: string) => {
    if (!notes.includes(note)) notes.push(note);
    return ` (${notes.indexOf(note) + 1})`;
  };
  return (cell) => {
    if ("reason" in cell) return `–${mark(cell.reason)}`;
    const { weights, maxAbs, meanKl, sameTop, note } = cell;
    const figures = isQuantised(weights)
      ? `${small(meanKl!)}, ${(100 * sameTop).toFixed(1)} %`
      : small(maxAbs!);
    return note === undefined ? figures : figures + mark(note);
  };
}

/** Two digits, and no exponent where there is room for the number itself. */
function small(value: number): string {
  return value >= 1e-4 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}

/** The page with the tables in their place. */
export function withTables(page: string, tables: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/readers.md has no ${BEGIN} … ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${tables}\n\n${page.slice(to)}`;
}

if (import.meta.main) {
  const page = await Deno.readTextFile(PAGE);
  await Deno.writeTextFile(PAGE, withTables(page, interopTables(await readResults())));
}
