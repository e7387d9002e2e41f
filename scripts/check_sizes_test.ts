import assert from "node:assert/strict";
import { checkSizes } from "./check_sizes.ts";

/** What is found in a tree, by its problems. */
function problems(files: Readonly<Record<string, string>>, wide = {}): readonly string[] {
  const found = checkSizes(new Map(Object.entries(files)), wide);
  return found.map(({ file, line, problem }) => `${file}:${line}: ${problem}`);
}

const lines = (count: number, line = "  x();") => Array(count).fill(line).join("\n");
const fields = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `readonly f${from + i}: number;`).join(" ");

Deno.test("sizes: a file of more than 300 lines is found, unless it is a test, a helper of tests or data", () => {
  const long = lines(301, "x();") + "\n";
  assert.deepEqual(problems({ "packages/core/a.ts": lines(300, "x();") + "\n" }), []);
  assert.deepEqual(problems({ "packages/core/a.ts": long }), [
    "packages/core/a.ts:1: has 301 lines; 300 are as many as a file may have",
  ]);
  for (const file of ["a_test.ts", "testing/a.ts", "data/a.ts"]) {
    assert.deepEqual(problems({ [`packages/core/${file}`]: long }), [], file);
  }
});

Deno.test("sizes: a comment that is wider than a line is found, in tests, too", () => {
  const wide = "w".repeat(95);
  for (const comment of [`/** ${wide}é`, ` * é${wide}é`, `  // ${wide}`]) {
    const text = `/**/\n${comment}\n*/`;
    assert.deepEqual(problems({ "packages/core/a_test.ts": text }), []);
    assert.deepEqual(problems({ "packages/core/a_test.ts": text.replace("w", "wwww") }), [
      `packages/core/a_test.ts:2: a comment of ${
        comment.length + 3
      } columns; 100 are the width of a line`,
    ]);
  }
});

Deno.test("sizes: a function of more than 60 lines is found, whatever its form", () => {
  const forms = {
    "function f() {\nBODY\n}": "f",
    "const f = () => {\nBODY\n};": "f",
    "class C { async *m() {\nBODY\n} }": "m",
    "class C { constructor() {\nBODY\n} }": "constructor",
    "class C { get size() {\nBODY\n} }": "size",
    "const o = { m() {\nBODY\n} };": "m",
    "run(() => {\nBODY\n});": "what stands here",
    "function f() { const inner = () => {\nBODY\n}; }": "f",
  };
  for (const [form, name] of Object.entries(forms)) {
    assert.deepEqual(problems({ "apps/cli/a.ts": form.replace("BODY", lines(58)) }), [], form);
    const [found, inner] = problems({ "apps/cli/a.ts": form.replace("BODY", lines(59)) });
    const told = `apps/cli/a.ts:1: ${name} has 61 lines; 60 are as many as a function may have`;
    assert.equal(found, told, form);
    assert.equal(inner !== undefined, form.includes("inner"), form);
  }
});

Deno.test("sizes: a type of more than ten fields is found, with those that it has from others", () => {
  const wide = {
    [`interface A { ${fields(0, 11)} }`]: "A",
    [`interface A { ${fields(0, 10)} m(): void }`]: "A",
    [`type A = { ${fields(0, 11)} };`]: "A",
    [`interface B { ${fields(0, 6)} } interface A extends B { ${fields(6, 5)} }`]: "A",
    [`interface B { ${fields(0, 6)} } type A = B & { ${fields(6, 5)} };`]: "A",
    [
      `interface B { ${fields(0, 6)} } type A = Partial<B> & Pick<C, ${
        [1, 2, 3, 4, 5].map((n) => `"c${n}"`).join(" | ")
      }>;`
    ]: "A",
    [`function f({ f0 }: { ${fields(0, 11)} }) {}`]: "what stands here",
  };
  for (const [source, name] of Object.entries(wide)) {
    const told = `packages/run/a.ts:1: ${name} has 11 fields; 10 are as many as is handed about`;
    assert.deepEqual(problems({ "packages/run/a.ts": source }), [told], source);
    assert.deepEqual(problems({ "packages/run/a_schema.ts": source }), [], source);
    assert.deepEqual(problems({ "packages/run/a_test.ts": source }), [], source);
  }
  const narrow = [
    `interface A { ${fields(0, 10)} }`,
    `interface B { ${fields(0, 6)} } interface A extends B { ${fields(0, 10)} }`,
    `interface B { ${fields(0, 6)} } type A = Omit<B, "f0"> & { ${fields(6, 5)} };`,
    `interface A { readonly self: A; ${fields(0, 5)} }`,
    `const a = { ${fields(0, 11).replaceAll("readonly ", "").replaceAll(";", ",")} };`,
  ];
  for (const source of narrow) assert.deepEqual(problems({ "packages/run/a.ts": source }), []);
});

Deno.test("sizes: what a type has from another file counts, as long as one type has that name", () => {
  const base = { "packages/run/b.ts": `export interface B { ${fields(0, 6)} }` };
  const a = { "packages/run/a.ts": `interface A extends B { ${fields(6, 5)} }` };
  assert.equal(problems({ ...base, ...a }).length, 1);
  const other = { "packages/run/c.ts": "interface B { readonly f0: number }" };
  assert.deepEqual(problems({ ...base, ...a, ...other }), []);
});

Deno.test("sizes: a type may be listed as wide, as long as it is", () => {
  const source = { "packages/core/a.ts": `export interface A { ${fields(0, 11)} }` };
  assert.deepEqual(problems(source, { A: "all that a model is" }), []);
  assert.deepEqual(problems(source, { "packages/core/a.ts": "rows of a table" }), []);
  assert.equal(problems(source, { "packages/core/b.ts": "rows of a table" }).length, 2);
  assert.deepEqual(problems(source, { A: "all that a model is", B: "gone" }), [
    "scripts/check_sizes.ts:1: lists B as wide, and there is no such type",
  ]);
});
