import fc from "fast-check";
import { bytesChanged, type Mutation } from "@lopper/formats/testing";

/** Something that was done to a file, with a name that says so where a test fails. */
export interface Edit {
  readonly name: string;
  readonly of: Mutation;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An edit of a file's text. */
export const text = (name: string, change: (text: string) => string): Edit => ({
  name,
  of: (bytes) => encoder.encode(change(decoder.decode(bytes))),
});

/** JSON has no word for what these are written as: the text that stands for them in a value. */
const RAW: Readonly<Record<string, string>> = {
  "\u0001huge": "1e999",
  "\u0001surrogate": '"\\ud800"',
  "\u0001deep": "[".repeat(5000) + "]".repeat(5000),
};

/** The JSON text of a value that an edit made. */
export function stringified(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, null, indent) ?? "null";
  return json.replace(/"\\u0001(\w+)"/g, (_, name) => RAW[`\u0001${name}`]);
}

/** What a value becomes; `n` chooses where there is a choice. */
const VALUES: Readonly<Record<string, (value: unknown, n: number) => unknown>> = {
  "negated or flipped": (value) =>
    typeof value === "boolean" ? !value : typeof value === "number" ? -value - 1 : value + "x",
  "a little more": (value) => typeof value === "number" ? value + 1 : `${value} `,
  "a fraction": () => 0.5,
  huge: () => "\u0001huge",
  null: () => null,
  "another type": (value) => typeof value === "string" ? 1 : "text",
  "a lone surrogate": () => "\u0001surrogate",
  "nested deeply": () => "\u0001deep",
  "an empty list": () => [],
  "an empty object": () => ({}),
  "another digest": (value) =>
    typeof value === "string"
      ? value.replace(/[0-9a-f](?=[0-9a-f]*$)/, (d) => d === "0" ? "1" : "0")
      : 0,
  shuffled: (value, n) =>
    Array.isArray(value)
      ? [...value.slice(n % value.length), ...value.slice(0, n % value.length)]
      : [value],
  reversed: (value) => Array.isArray(value) ? value.toReversed() : [value, value],
  shortened: (value) => Array.isArray(value) ? value.slice(1) : String(value).slice(1),
  doubled: (value) => Array.isArray(value) ? [...value, ...value] : `${value}${value}`,
};

/** Every place in a JSON value but the whole. */
function placesIn(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((key) => [
    [...path, key],
    ...placesIn((value as Record<string, unknown>)[key], [...path, key]),
  ]);
}

/** A copy of a JSON value in which one place was changed by what its object does then. */
function changedAt(
  json: unknown,
  n: number,
  change: (parent: Record<string, unknown>, key: string) => void,
): unknown {
  const copy = structuredClone(json);
  const places = placesIn(copy);
  if (places.length === 0) return [copy];
  const place = places[n % places.length];
  const parent = place.slice(0, -1).reduce(
    (at, key) => at[key] as Record<string, unknown>,
    copy as Record<string, unknown>,
  );
  change(parent, place.at(-1)!);
  return copy;
}

/** What may happen to a JSON value. */
export type JsonEdit = readonly [name: string, change: (json: unknown) => unknown];

export const jsonEdits: fc.Arbitrary<JsonEdit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(), fc.constantFrom(...Object.entries(VALUES)), fc.nat()).map(
      ([at, [name, value], n]): JsonEdit => [
        `value ${at} ${name}`,
        (json) => changedAt(json, at, (parent, key) => parent[key] = value(parent[key], n)),
      ],
    ),
  },
  fc.nat().map((at): JsonEdit => [
    `key ${at} removed`,
    (json) => changedAt(json, at, (parent, key) => delete parent[key]),
  ]),
  fc.nat().map((at): JsonEdit => [
    `key ${at} renamed`,
    (json) =>
      changedAt(json, at, (parent, key) => {
        parent[`${key}s`] = parent[key];
        delete parent[key];
      }),
  ]),
  fc.tuple(fc.nat(), fc.constantFrom("more", "__proto__", "constructor", "toJSON", "0")).map(
    ([at, name]): JsonEdit => [
      `key ${name} added at ${at}`,
      (json) =>
        changedAt(
          json,
          at,
          (parent) => Object.defineProperty(parent, name, { value: { a: 1 }, enumerable: true }),
        ),
    ],
  ),
);

/** A file that is one JSON value, before and after an edit of it. */
function jsonFile([name, change]: JsonEdit): Edit {
  return text(name, (before) => {
    let json;
    try {
      json = JSON.parse(before);
    } catch {
      return before;
    }
    return stringified(change(json), 2) + "\n";
  });
}

/** One line of a file of JSON lines. */
function jsonLine([name, change]: JsonEdit, line: number): Edit {
  return text(`line ${line}: ${name}`, (before) => {
    const lines = before.split("\n").slice(0, -1);
    const i = line % lines.length;
    return [...lines.with(i, stringified(change(JSON.parse(lines[i])))), ""].join("\n");
  });
}

/** Bytes, ends, marks and layouts, as editors, tools and disks leave them. */
const anyText: fc.Arbitrary<Edit> = fc.oneof(
  fc.nat(100_000).chain((position) => fc.oneof(...bytesChanged(fc.constant(position)))).map(
    (of): Edit => ({ name: "bytes changed", of: (bytes) => of(bytes) }),
  ),
  fc.double({ min: 0, max: 1, noNaN: true }).map((share): Edit => ({
    name: `cut off at ${share}`,
    of: (bytes) => bytes.slice(0, Math.floor(share * bytes.length)),
  })),
  fc.constantFrom(
    text("a byte order mark", (before) => "\ufeff" + before),
    text("Windows line ends", (before) => before.replaceAll("\n", "\r\n")),
    text("an empty file", () => ""),
    text("null", () => "null\n"),
    text("zeros", (before) => "\0".repeat(before.length)),
    text("another file behind it", (before) => before + before),
    text("spaces", (before) => before.replaceAll(":", " : ")),
    text("the first key twice", (before) => before.replace(/("\w+"): ?([^,\n{[]+),/, "$&$1:7,$&")),
    text("a line end less", (before) => before.replace(/\n$/, "")),
    text("something behind the last line", (before) => before + '{"type":"ste'),
  ),
);

/** Edits of a file that is one JSON value. */
export const fileEdits: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: jsonEdits.map(jsonFile) },
  { weight: 1, arbitrary: anyText },
);

/** Edits of a file of JSON lines. @param others lines of another run. */
export function lineEdits(others: readonly string[]): fc.Arbitrary<Edit> {
  const lines = (name: string, change: (lines: string[], i: number, j: number) => string[]) =>
    fc.tuple(fc.nat(), fc.nat()).map(([i, j]) =>
      text(`${name} ${i} ${j}`, (before) => {
        const all = before.split("\n").slice(0, -1);
        if (all.length === 0) return before;
        return change(all, i % all.length, j % all.length).map((line) => line + "\n").join("");
      })
    );
  return fc.oneof(
    { weight: 5, arbitrary: fc.tuple(jsonEdits, fc.nat()).map(([edit, n]) => jsonLine(edit, n)) },
    { weight: 1, arbitrary: anyText },
    lines("swapped", (all, i, j) => all.with(i, all[j]).with(j, all[i])),
    lines("doubled", (all, i, j) => all.toSpliced(i, 0, all[j])),
    lines("removed", (all, i) => all.toSpliced(i, 1)),
    lines("cut behind", (all, i) => all.slice(0, i)),
    lines("of another run", (all, i, j) => all.with(i, others[j % others.length])),
    lines("all of another run from", (all, i) => [...all.slice(0, i), ...others.slice(i)]),
  );
}
