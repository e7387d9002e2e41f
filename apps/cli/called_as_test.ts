import assert from "node:assert/strict";
import process from "node:process";
import { type Build, startAs } from "./build.ts";
import { asCalled, commandLine, programName, versionText } from "./called_as.ts";

const BINARY: Build = {
  kind: "binary",
  commit: "0123456789ab",
  target: "x86_64-unknown-linux-gnu",
  packages: [
    { name: "onnxruntime-web", version: "1.30.0", licence: "MIT", isEngine: true },
    { name: "zod", version: "4.6.7", licence: "MIT", isEngine: false },
    { name: "tslib", version: "2.8.1", licence: "0BSD", isEngine: false },
  ],
  engine: null,
};

function as<T>(build: Build | null, body: () => T): T {
  startAs(build);
  try {
    return body();
  } finally {
    startAs(null);
  }
}

Deno.test("called as: a checkout by its tasks, a binary by its name, what npx started by npx", () => {
  const names = () => [programName(), commandLine("prune --resume"), asCalled("  lopper prune M")];
  const lopper = ["lopper", "lopper prune --resume", "  lopper prune M"];
  assert.deepEqual(names(), [
    "deno task lopper",
    "deno task prune --resume",
    "  deno task prune M",
  ]);
  assert.deepEqual(as(BINARY, names), lopper);
  const installed: Build = { ...BINARY, kind: "npm" };
  const before = process.env.npm_command;
  try {
    delete process.env.npm_command;
    assert.deepEqual(as(installed, names), lopper);
    process.env.npm_command = "exec";
    assert.deepEqual(
      as(installed, names),
      lopper.map((text) => text.replace("lopper", "npx lopper")),
    );
    assert.deepEqual(as(BINARY, names), lopper);
  } finally {
    delete process.env.npm_command;
    if (before !== undefined) process.env.npm_command = before;
  }
});

Deno.test("called as: a release says its commit, engines and licences, a checkout that it is one", () => {
  assert.match(versionText(), /^lopper \d+\.\d+\.\d+ \(a checkout\), on Deno [\d.]+\nlicence: /);
  const [what, engines, licences] = as(BINARY, versionText).split("\n");
  assert.match(
    what,
    /^lopper \d+\.\d+\.\d+ \(commit 0123456789ab, binary for x86_64-unknown-linux-gnu\), on Deno /,
  );
  assert.equal(engines, "engines: onnxruntime-web 1.30.0 (MIT)");
  assert.equal(licences, "licence: Apache-2.0; 3 packages in it: 0BSD, MIT");
  const npm = as({ ...BINARY, kind: "npm", target: null }, versionText);
  assert.match(npm, /\(commit 0123456789ab, npm package\)/);
});
