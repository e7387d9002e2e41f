import assert from "node:assert/strict";
import { deadExports, exportsOf, needlessExports } from "./faces.ts";

const FILES = {
  "packages/core/mod.ts":
    'export { a, type B, c as d } from "./a.ts";\nexport * from "./sub/more.ts";\nexport { e };\n',
  "packages/core/sub/more.ts":
    'export async function* f() {}\nexport abstract class G {}\nexport const h = 1;\nexport * from "../deep.ts";\n',
  "packages/core/deep.ts": "export interface I {}\nexport type J = I;\nconst k = 1;\n",
};
const dead = (others: Readonly<Record<string, string>>, library = "") =>
  deadExports(new Map(Object.entries({ ...FILES, ...others })), library).map(({ name }) => name);
const all = ["a", "B", "d", "e", "f", "G", "h", "I", "J"];

Deno.test("faces: a module exports what it names, declares, and hands on", () => {
  const found = exportsOf("packages/core/mod.ts", new Map(Object.entries(FILES)));
  assert.deepEqual([...found.keys()].sort(), all.toSorted());
  assert.deepEqual([found.get("a"), found.get("J"), found.get("e")], [1, 2, 3]);
});

Deno.test("faces: what nobody else takes is dead, whoever takes it within", () => {
  const own = 'import { a } from "./mod.ts";\nimport { B } from "@lopper/core";\n';
  assert.deepEqual(dead({ "packages/core/own.ts": own }), all);
});

Deno.test("faces: imports of all kinds count, and so does the page about the library", () => {
  const imports = [
    'import { a, type B } from "@lopper/core";',
    'import type { I } from "../packages/core/mod.ts";',
    'export { d as other } from "@lopper/core";',
    'const { e, f: g } = await import("@lopper/core");',
    '(await import("@lopper/core")).G;',
    'import { h } from "@lopper/core/testing";',
  ];
  assert.deepEqual(dead({ "tests/a_test.ts": imports.join("\n") }), ["h", "J"]);
  assert.deepEqual(dead({ "tests/a_test.ts": imports.join("\n") }, "say `J` or `J<T>`"), ["h"]);
  const aliased = 'import * as core from "@lopper/core";\ncore.a(core.G, core);\n';
  assert.deepEqual(dead({ "apps/cli/a.ts": aliased }), all.filter((name) => !"aG".includes(name)));
  assert.deepEqual(dead({ "apps/cli/a.ts": 'export * from "@lopper/core";' }), []);
});

Deno.test("faces: a value that no other file names needs no export, and a type may be returned", () => {
  const sources = new Map(Object.entries({
    "packages/core/a.ts":
      "export const A = 1;\nexport async function b(): Promise<C> {}\nexport interface C {}\n",
    "packages/core/d.ts": "export class D {}\nexport function e() {}\nconst f = 1;\n",
    "tests/d_test.ts": 'import { b } from "../packages/core/a.ts";\nimport { D } from "./d.ts";\n',
  }));
  const found = needlessExports(sources).map(({ file, line, name }) => `${file}:${line} ${name}`);
  assert.deepEqual(found, ["packages/core/a.ts:1 A", "packages/core/d.ts:2 e"]);
});
