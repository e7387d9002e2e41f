import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkCircles, checkFile, checkKnowledge, ORDER } from "./check_layers.ts";

const problems = (file: string, source: string) => checkFile(file, source).map((v) => v.problem);

Deno.test("layers: an upward import is found", () => {
  const found = problems("packages/core/a.ts", 'import { x } from "@lopper/search";\n');
  assert.deepEqual(found, ["core imports search, which comes after it"]);
});

Deno.test("layers: a dynamic upward import and a re-export are found", () => {
  assert.equal(problems("packages/graphs/a.ts", 'await import("@lopper/runtime");').length, 1);
  assert.equal(problems("packages/graphs/a.ts", 'export * from "@lopper/runtime";').length, 1);
});

Deno.test("layers: imports downward are fine", () => {
  const source = 'import { x } from "@lopper/core";\nimport { y } from "./b.ts";\n';
  assert.deepEqual(problems("packages/search/a.ts", source), []);
});

Deno.test("layers: the search uses nothing that runs a model", () => {
  const planted = [
    'import { Decoder } from "@lopper/runtime";',
    'import {\n  type UnitRanking,\n  Decoder,\n} from "@lopper/runtime";',
    'import { SuffixScorer as Scorer } from "@lopper/importance";',
    'import * as runtime from "@lopper/runtime";',
    'export * from "@lopper/backends";',
    'export { Products } from "@lopper/algebra";',
    'const { Decoder } = await import("@lopper/runtime");',
    'import "@lopper/backends";',
  ];
  for (const line of planted) {
    const found = problems("packages/search/a.ts", `${line}\n`);
    assert.equal(found.length, 1, line);
    assert.match(
      found[0],
      /^search runs no model, and uses (Decoder|SuffixScorer|Products|\*) of /,
    );
    assert.deepEqual(problems("packages/search/a_test.ts", line), [], line);
    assert.deepEqual(problems("packages/recovery/a.ts", line), [], line);
  }
  const fine = [
    'import type { Decoder } from "@lopper/runtime";',
    'export type { UnitRanking } from "@lopper/runtime";',
    'import { type Decoder, type UnitRanking } from "@lopper/runtime";',
    'import { perplexity, type Scorer } from "@lopper/importance";',
    '// import { Decoder } from "@lopper/runtime";',
  ];
  for (const line of fine) assert.deepEqual(problems("packages/search/a.ts", line), [], line);
});

Deno.test("layers: CONTRIBUTING has the packages in the order in which they may import", async () => {
  const page = await Deno.readTextFile(new URL("../CONTRIBUTING.md", import.meta.url));
  const layout = /^packages\/\n([\s\S]*?)^docs\//m.exec(page)![1];
  const listed = Array.from(layout.matchAll(/^ {2}([\w-]+)\/ /gm), ([, name]) => name);
  assert.deepEqual(listed, ORDER.filter((name) => name !== "cli" && name !== "web"));
});

Deno.test("layers: leaving the package by a relative path is found", () => {
  assert.equal(problems("packages/core/a.ts", 'import "../search/mod.ts";').length, 1);
});

Deno.test("layers: commands share a folder, and know nothing of one another", () => {
  const found = (file: string, specifier: string) =>
    problems(`apps/cli/${file}`, `import "${specifier}";\n`).length;
  assert.equal(found("prune/a.ts", "../report/b.ts"), 1);
  assert.equal(found("shared/inputs/a.ts", "../../prune/b.ts"), 1);
  assert.equal(found("prune/a.ts", "../shared/inputs/b.ts"), 0);
  assert.equal(found("prune/a.ts", "./b.ts"), 0);
  assert.equal(found("shared/inputs/a.ts", "../terminal/b.ts"), 0);
  assert.equal(found("shared/inputs/a.ts", "../../build.ts"), 0);
  assert.equal(found("main.ts", "./prune/a.ts"), 0);
});

Deno.test("layers: fakes are for tests", () => {
  const source = 'import { tinyGguf } from "@lopper/models/testing";\n';
  for (const file of ["packages/run/a_test.ts", "packages/run/testing/a.ts"]) {
    assert.deepEqual(problems(file, source), []);
  }
  const found = ["imports @lopper/models/testing, which is for tests"];
  assert.deepEqual(problems("packages/run/a.ts", source), found);
});

Deno.test("layers: faces name what they give", () => {
  const all = 'export * from "./a.ts";\n';
  for (const face of ["packages/core/mod.ts", "packages/models/testing/mod.ts"]) {
    assert.deepEqual(problems(face, all), ["a face names what it gives"]);
    assert.deepEqual(problems(face, 'export { a } from "./a.ts";\n'), []);
  }
  assert.deepEqual(problems("packages/core/sub/mod.ts", all), []);
});

Deno.test("layers: Deno.* stays where Node has no equal, and printing in apps", () => {
  for (const source of ["Deno.cwd();", "const { cwd } = Deno;", 'globalThis["Deno"].cwd();']) {
    assert.equal(problems("packages/core/a.ts", source).length, 1, source);
  }
  assert.equal(problems("packages/core/a.ts", "console.log(1);").length, 1);
  assert.deepEqual(problems("packages/core/a.ts", "// Deno.cwd() would be wrong here"), []);
  for (const file of ["packages/files/a.ts", "apps/cli/a.ts"]) {
    assert.equal(problems(file, "Deno.cwd();").length, 1, file);
  }
  assert.deepEqual(problems("apps/cli/permissions.ts", "Deno.cwd();"), []);
});

Deno.test("layers: the native engine is loaded where it is told to keep no telemetry", () => {
  for (const line of ['import * as ort from "onnxruntime-node";', 'import("onnxruntime-node");']) {
    assert.equal(problems("packages/backends/a.ts", line).length, 1);
    assert.deepEqual(problems("packages/backends/node_engine.ts", line), []);
  }
});

Deno.test("layers: one module knows how the program is started", () => {
  const source = "throw new Error(`go on with: deno task prune --resume`);";
  for (const file of ["apps/cli/a.ts", "packages/run/a.ts"]) {
    assert.match(problems(file, source).join("\n"), /^names a task/);
  }
  assert.deepEqual(problems("apps/cli/called_as.ts", source), []);
  assert.deepEqual(problems("apps/cli/a.ts", "// deno task hands it on"), []);
});

Deno.test("layers: what reaches the terminal goes through one module", () => {
  const printing = [
    "console.log(1);",
    "console.error(1);",
    "process.stdout.write(text);",
    "stdout.write(text);",
    "process.stderr.write(text);",
    'import { SingleBar } from "cli-progress";',
  ];
  for (const line of printing) {
    assert.equal(problems("apps/cli/a.ts", line).length, 1, line);
    assert.deepEqual(problems("apps/cli/shared/terminal/terminal.ts", line), []);
    assert.deepEqual(problems("apps/cli/a_test.ts", line), []);
  }
  assert.deepEqual(problems("apps/cli/a.ts", "process.stderr.isTTY;"), []);
});

Deno.test("layers: files are opened for reading in one place", () => {
  const opens = [
    'import { readFile } from "node:fs/promises";',
    'import fs from "node:fs";',
    'import { mkdir, open } from "node:fs/promises";',
    'const fs = await import("node:fs");',
  ];
  for (const source of opens) {
    for (const file of ["apps/cli/a.ts", "packages/files/a.ts"]) {
      assert.match(problems(file, source).join("\n"), /^opens a file/, source);
    }
    assert.deepEqual(problems("apps/cli/a_test.ts", source), []);
  }
  const fs = 'import fs, { type Stats } from "node:fs";';
  assert.deepEqual(problems("packages/files/file_source.ts", fs), []);
  const asks = [
    'import { existsSync, type Stats } from "node:fs";',
    'import { lstat, stat } from "node:fs/promises";',
  ];
  for (const source of asks) assert.deepEqual(problems("apps/cli/a.ts", source), []);
});

Deno.test("layers: a package outside the order is found", () => {
  assert.equal(problems("packages/unheard-of/a.ts", "").length, 1);
});

const circles = (files: Readonly<Record<string, string>>) =>
  checkCircles(new Map(Object.entries(files)));

Deno.test("layers: files of a package that import one another are found, types included", () => {
  const found = circles({
    "packages/core/a.ts": 'import "./z.ts";\nimport type { B } from "./b.ts";\n',
    "packages/core/b.ts": 'export * from "./sub/c.ts";\n',
    "packages/core/sub/c.ts": 'const a = await import("../a.ts");\n',
    "packages/core/z.ts": 'import { x } from "@lopper/algebra";\n',
  });
  assert.deepEqual(found, [{
    file: "packages/core/a.ts",
    line: 2,
    problem: "imports in a circle with packages/core/b.ts, packages/core/sub/c.ts",
  }]);
});

Deno.test("layers: two circles are two, and a file that imports itself is one", () => {
  const found = circles({
    "packages/core/a.ts": 'import "./b.ts";',
    "packages/core/b.ts": 'import "./a.ts";\nimport "./c.ts";',
    "packages/core/c.ts": 'import "./d.ts";',
    "packages/core/d.ts": 'import "./c.ts";',
    "packages/core/e.ts": 'import "./e.ts";',
  });
  assert.deepEqual(found.map(({ problem }) => problem), [
    "imports in a circle with packages/core/d.ts",
    "imports in a circle with packages/core/b.ts",
    "imports in a circle with itself",
  ]);
});

Deno.test("layers: many ways to one file are no circle, and neither is a comment", () => {
  const found = circles({
    "packages/core/a.ts": 'import "./b.ts";\nimport "./c.ts";\nimport "./d.ts";',
    "packages/core/b.ts": 'import "./d.ts";',
    "packages/core/c.ts": 'import "./b.ts";\nimport "./d.ts";',
    "packages/core/d.ts": '// import "./a.ts";\n/* import "./b.ts"; */',
  });
  assert.deepEqual(found, []);
});

Deno.test("layers: the check fails on each planted fault, and passes without", async () => {
  const faults: Readonly<Record<string, string>> = {
    "core comes before search": 'import "@lopper/search";',
    "the platform": "Deno.cwd();",
    "printing": "console.log(1);",
    "a circle": 'import type { B } from "./b.ts";',
    "the native engine": 'import "onnxruntime-node";',
    "another package's file": 'import "../search/mod.ts";',
    "an export for nobody": "export const alone = 1;",
  };
  const root = await Deno.makeTempDir();
  const check = async (source: string) => {
    await Deno.writeTextFile(join(root, "packages/core/a.ts"), source);
    const script = fileURLToPath(new URL("check_layers.ts", import.meta.url));
    const args = ["run", "--quiet", "--no-prompt", "--allow-read", script, root];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    return { code, lines: new TextDecoder().decode(stderr).trim().split("\n").filter(Boolean) };
  };
  try {
    await Deno.mkdir(join(root, "packages/core"), { recursive: true });
    await Deno.mkdir(join(root, "apps/cli"), { recursive: true });
    await Deno.writeTextFile(join(root, "packages/core/b.ts"), 'export * from "./a.ts";');
    assert.deepEqual(await check("export const a = 1;"), { code: 0, lines: [] });
    const { code, lines } = await check(Object.values(faults).join("\n"));
    assert.equal(code, 1);
    const places = lines.map((line) => line.split(": ")[0]);
    const expected = Object.keys(faults).map((_, i) => `packages/core/a.ts:${i + 1}`);
    assert.deepEqual(places.sort(), expected);
    const opens = 'import { open } from "node:fs/promises";';
    await Deno.writeTextFile(join(root, "apps/cli/a.ts"), opens);
    assert.match(
      (await check("export const a = 1;")).lines.join("\n"),
      /apps\/cli\/a\.ts:1: opens/,
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("layers: few files know what blocks there are", () => {
  const files = (count: number) =>
    new Map(
      Array.from({ length: count }, (_, i) => [
        `packages/core/${i}.ts`,
        '/** "mlp" */\nconst kind = "mlp";\n',
      ]),
    );
  assert.deepEqual(checkKnowledge(files(9)), []);
  const tests = new Map([["packages/core/a_test.ts", 'f("mlp", { intermediateSize });']]);
  assert.deepEqual(checkKnowledge(new Map([...files(9), ...tests])), []);
  const [found, ...others] = checkKnowledge(files(10));
  assert.deepEqual(others, []);
  assert.equal(`${found.file}:${found.line}`, "packages/core/9.ts:2");
  assert.match(found.problem, /^10 files have /);
});
