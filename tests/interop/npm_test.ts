/**
 * The package for npm, packed, installed without a network where there is nothing, and run by Node
 * alone: what it writes is what a checkout writes in Deno.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { stageNative } from "../../scripts/release/engine_files.ts";
import { filesIn } from "../../scripts/release/folders.ts";
import { moduleGraph } from "../../scripts/release/module_graph.ts";
import { packNpm, writeNpmPackage } from "../../scripts/release/npm_package.ts";
import { TARGETS } from "../../scripts/release/targets.ts";
import { done, inTemporaryFolder, PUBLISHED } from "../support/cli.ts";
import { checkSameBytes } from "../support/kill.ts";
import { nodeCommand, output } from "../support/node.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NEEDLESS = /(?<!\.d)\.ts$|\.map$|\.node$|jsep|jspi|asyncify|webgl|_test/;
const SETTINGS = [...PUBLISHED, "--ratio", "4", "--threads", "1"];
const MEASURED = ["--perplexity", join(ROOT, "tests/fixtures/held_out.txt"), "--seq-len", "64"];
const GREEDY = ["The sea", "--max-tokens", "8", "--temperature", "0", "--threads", "1"];

Deno.test("npm: installed where there is only Node, it does what a checkout does", async (t) => {
  const words = await nodeCommand("the test of the npm package");
  if (words === null) return;
  const node = (await output([...words, "-p", "process.execPath"])).trim();
  await inTemporaryFolder(async (folder) => {
    const place = join(folder, "проект 模型");
    await Deno.mkdir(place);
    const source = join(folder, "package");
    await writeNpmPackage(source);
    const file = await packNpm(source, folder);
    const user = userOf(node, place, join(folder, "home"));

    await t.step("the package has no scripts, no dependencies, and nothing needless", async () => {
      const manifest = JSON.parse(await Deno.readTextFile(join(source, "package.json")));
      for (const name of ["scripts", "dependencies", "optionalDependencies"]) {
        assert.equal(manifest[name], undefined, name);
      }
      assert.deepEqual((await filesIn(source)).filter((path) => NEEDLESS.test(path)), []);
      const { size } = await Deno.stat(file);
      assert.ok(size < 20e6, `${size} bytes`);
    });
    await t.step("it is installed without a network", async () => {
      await Deno.writeTextFile(
        join(place, "package.json"),
        '{ "private": true, "type": "module" }',
      );
      const how = ["--offline", "--no-audit", "--no-fund", "--cache", join(folder, "npm-cache")];
      await output(["npm", "install", "--prefix", place, ...how, file]);
      assert.deepEqual(readdirSync(join(place, "node_modules")).filter((name) => name[0] !== "."), [
        "lopper",
      ]);
    });
    await t.step("with WebAssembly: prune, generate, export, inspect, report", async () => {
      await user("prune", ...SETTINGS, "--out", "wasm");
      await done(["prune", ...SETTINGS, "--backend", "wasm", "--out", "wasm-by-deno"], place);
      await checkSameBytes(place, "wasm", "wasm-by-deno");
      const { printed, said } = await user("generate", "wasm", ...GREEDY);
      assert.match(said, /^backend cpu does not load: .*: npm install onnxruntime-node$/m);
      const asked = ["generate", "wasm", ...GREEDY, "--backend", "wasm"];
      assert.equal(printed, await done(asked, place));
      await user("export", "wasm", "--to", "gguf", "--out", "gguf");
      assert.ok(readdirSync(join(place, "gguf")).some((name) => name.endsWith(".gguf")));
      assert.match((await user("inspect", "wasm")).printed, /blocks/);
      await user("report", "wasm", "--out", "page.html");
      const page = await Deno.readTextFile(join(place, "page.html"));
      assert.match(page, /lopper prune --ratio/);
      assert.doesNotMatch(page, /deno task/);
      assert.match((await user("prune", "--help")).printed, /^Usage: lopper prune /);
      const { printed: version } = await user("--version");
      assert.match(
        version,
        /npm package\), on Node\.js \d+\nengines: onnxruntime-web [\d.]+ \(MIT\)\n/,
      );
    });
    await t.step("with the native engine of the project, also when npx starts it", async () => {
      const { packages } = await moduleGraph(join(ROOT, "packages/backends/mod.ts"));
      const project = join(folder, "project");
      await stageNative(packages, TARGETS[Deno.build.target], project);
      await done(["prune", ...SETTINGS, "--backend", "cpu", "--out", "by-deno"], place);
      const npx = { npm_command: "exec", npm_config_local_prefix: project };
      const byNpx = userOf(node, place, join(folder, "home"), npx);
      assert.equal(
        (await byNpx("prune", ...SETTINGS, "--backend", "cpu", "--out", "npx")).said,
        "",
      );
      await checkSameBytes(place, "npx", "by-deno");
      await stageNative(packages, TARGETS[Deno.build.target], place);
      await user("prune", ...SETTINGS, "--backend", "cpu", "--out", "cpu");
      await checkSameBytes(place, "cpu", "by-deno");
      // Each model runs in a process of its own.
      const compared = await user("compare", "demo", "cpu", "--json", ...MEASURED);
      assert.match(compared.printed, /"peakResidentBytes":\d/);
    });
    await t.step("as a library: the example of the page", async () => {
      const example = join(ROOT, "docs/library_example.ts");
      await Deno.copyFile(example, join(place, "example.ts"));
      const byNode = await output([node, join(place, "example.ts")]);
      const byDeno = await output([Deno.execPath(), "run", "--quiet", "--allow-all", example]);
      const names = 'import { LopperError } from "lopper"; console.log(LopperError.name)';
      await Deno.writeTextFile(join(place, "names.js"), names);
      assert.equal(await output([node, join(place, "names.js")]), "LopperError\n");
      // The last line has figures of another V8's powers of e.
      const steps = (text: string) => text.trim().split("\n").slice(0, -1);
      assert.ok(steps(byNode).length > 0);
      assert.deepEqual(steps(byNode), steps(byDeno));
    });
    await t.step("its types are whole, and say what is wrong", () => checkTypes(place));
  });
});

/** Starts what is installed in a folder, with nothing but Node on the path. */
function userOf(
  node: string,
  place: string,
  home: string,
  env: Readonly<Record<string, string>> = {},
) {
  return async (...args: string[]) => {
    const command = new Deno.Command(join(place, "node_modules/.bin/lopper"), {
      args,
      cwd: place,
      clearEnv: true,
      // `env`, which looks for Node, is in one of the latter.
      env: { PATH: [dirname(node), "/usr/bin", "/bin"].join(":"), HOME: home, ...env },
      stdin: "null",
    });
    const { code, stdout, stderr } = await command.output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, `${args.join(" ")}: ${said}`);
    return { said, printed: new TextDecoder().decode(stdout) };
  };
}

const TYPED = `
import { FileFolder, MemoryStore, openModel, prune, runFlags, type RunEvent } from "lopper";
const model = await openModel(new FileFolder("."));
const flags = runFlags(model.architecture, { ratio: 20, preset: "multipruner" });
const kept: number = model.architecture.vocabSize;
export type Step = Extract<RunEvent, { type: "search" }>["event"];
export { flags, kept, MemoryStore, prune };
// @ts-expect-error there is no such setting
runFlags(model.architecture, { ratioo: 20 });
// @ts-expect-error a ratio is a number
runFlags(model.architecture, { ratio: "20" });
`;

async function checkTypes(place: string) {
  const file = join(place, "typed.ts");
  await Deno.writeTextFile(file, TYPED);
  const program = ts.createProgram([file], {
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
    noEmit: true,
    strict: true,
    types: [],
  });
  const found = ts.getPreEmitDiagnostics(program);
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => place,
    getNewLine: () => "\n",
  };
  assert.equal(ts.formatDiagnostics(found, host), "");
}
