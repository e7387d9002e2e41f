import assert from "node:assert/strict";
import { checkFile } from "./check_layers.ts";

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

Deno.test("layers: leaving the package by a relative path is found", () => {
  assert.equal(problems("packages/core/a.ts", 'import "../search/mod.ts";').length, 1);
});

Deno.test("layers: Deno.* and printing stay in apps and file adapters", () => {
  assert.equal(problems("packages/core/a.ts", "Deno.cwd();").length, 1);
  assert.equal(problems("packages/core/a.ts", "console.log(1);").length, 1);
  assert.deepEqual(problems("packages/core/a.ts", "// Deno.cwd() would be wrong here"), []);
  assert.deepEqual(problems("packages/model-io/files/a.ts", "Deno.cwd();"), []);
  assert.deepEqual(problems("apps/cli/a.ts", "Deno.cwd();"), []);
});

Deno.test("layers: the native engine is loaded where it is told to keep no telemetry", () => {
  for (const line of ['import * as ort from "onnxruntime-node";', 'import("onnxruntime-node");']) {
    assert.equal(problems("packages/backends/a.ts", line).length, 1);
    assert.deepEqual(problems("packages/backends/node_engine.ts", line), []);
  }
});

Deno.test("layers: what reaches the terminal goes through one module", () => {
  const printing = [
    "console.log(1);",
    "console.error(1);",
    "await Deno.stdout.write(bytes);",
    "Deno.stderr.writeSync(bytes);",
    "process.stdout.write(text);",
    'import { SingleBar } from "cli-progress";',
  ];
  for (const line of printing) {
    assert.equal(problems("apps/cli/a.ts", line).length, 1, line);
    assert.deepEqual(problems("apps/cli/terminal.ts", line), []);
    assert.deepEqual(problems("apps/cli/a_test.ts", line), []);
  }
  assert.deepEqual(problems("apps/cli/a.ts", "Deno.stderr.isTerminal();"), []);
});

Deno.test("layers: files are opened for reading in one place", () => {
  const opens = [
    "await Deno.readTextFile(path)",
    "Deno.readFileSync(path)",
    "await Deno.open(path, { read: true })",
    "await Deno.open(path)",
    "Deno.openSync(path, { write: true, read: true })",
  ];
  for (const source of opens) {
    for (const file of ["apps/cli/a.ts", "packages/model-io/files/a.ts"]) {
      assert.equal(problems(file, source).length, 1, source);
    }
    assert.deepEqual(problems("packages/model-io/files/file_source.ts", source), []);
    assert.deepEqual(problems("apps/cli/a_test.ts", source), []);
  }
  assert.deepEqual(problems("apps/cli/a.ts", "Deno.open(path, { write: true })"), []);
});

Deno.test("layers: a package outside the order is found", () => {
  assert.equal(problems("packages/unheard-of/a.ts", "").length, 1);
});
