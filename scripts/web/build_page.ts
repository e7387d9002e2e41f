/**
 * Writes the page of apps/web into a folder that any host of files can serve.
 *
 * Usage: deno task web:build [--out dist/web]
 */
import { formatBytes, sha256 } from "@lopper/core";
import { PICTURE_STYLE } from "@lopper/report/picture";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { CONTENT_SECURITY_POLICY, HEADERS } from "../../apps/web/policy.ts";
import { bundle, partsOf } from "../release/bundle.ts";
import { done } from "../release/done.ts";
import { filesIn } from "../release/folders.ts";
import { licenceTexts } from "../release/licences.ts";
import { ROOT } from "../release/root.ts";

const WEB = join(ROOT, "apps/web");
const PAGE = join(WEB, "page.tsx");
/** Browsers have no native engine. */
const NATIVE = "onnxruntime-node";
/** The build of the engine that has nothing but WebAssembly, and what it loads. */
const ENGINE = { name: "onnxruntime-web", script: "ort.wasm.bundle.min.mjs" } as const;
const ENGINE_FILES = [ENGINE.script, "ort-wasm-simd-threaded.wasm"];
/** The file that only a build of this page has. */
const MARK = "service_worker.js";

/** Builds the page. @returns its files and their bytes, by their paths from the folder. */
export async function buildPage(folder: string): Promise<ReadonlyMap<string, number>> {
  await makeEmpty(folder);
  const parts = await partsOf([PAGE]);
  const page = new Map([["page", `export * from "${pathToFileURL(PAGE)}";\n`]]);
  const external = [NATIVE, ENGINE.name];
  await bundle(page, parts, folder, { platform: "browser", external });
  await nameEngine(folder);
  const engine = new URL(".", import.meta.resolve(`${ENGINE.name}/wasm`));
  for (const file of ENGINE_FILES) await Deno.copyFile(new URL(file, engine), join(folder, file));
  for (const file of ["page.css", "icon.svg"]) {
    await Deno.copyFile(join(WEB, "shell", file), join(folder, file));
  }
  const write = (file: string, text: string) => Deno.writeTextFile(join(folder, file), text);
  const html = await Deno.readTextFile(join(WEB, "shell/index.html"));
  await write("index.html", html.replace("POLICY", CONTENT_SECURITY_POLICY));
  await write("picture.css", PICTURE_STYLE);
  const packages = parts.packages.filter(({ name }) => name !== NATIVE);
  await write("licences.txt", await licenceTexts(packages));
  await writeServiceWorker(folder);
  await write("_headers", headersFile());
  return await sizesIn(folder);
}

/** What keeps the page for use without a network; it names all that there is, and so goes last. */
async function writeServiceWorker(folder: string) {
  const files = [...(await sizesIn(folder)).keys()];
  const contents = await Promise.all(files.map((file) => Deno.readFile(join(folder, file))));
  const digests = await Promise.all(contents.map((bytes) => sha256(bytes)));
  const name = (await sha256(new TextEncoder().encode(digests.join("\n")))).slice(7, 19);
  const path = join(folder, MARK);
  const how = ["--quiet", "--platform", "browser", "--minify", "--format", "iife"];
  const source = join(WEB, "service_worker.ts");
  await done(Deno.execPath(), ["bundle", ...how, "--output", path, source], ROOT);
  const build = `const BUILD = ${JSON.stringify({ name, files })};\n`;
  await Deno.writeTextFile(path, build + await Deno.readTextFile(path));
}

/** An empty folder. What is there must be an earlier build, which goes. */
async function makeEmpty(folder: string) {
  await Deno.mkdir(folder, { recursive: true });
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  if (names.length > 0 && !names.includes(MARK)) {
    throw new Error(`${folder} holds something else than an earlier build; choose another --out`);
  }
  for (const name of names) await Deno.remove(join(folder, name), { recursive: true });
}

/**
 * A browser finds no package by its name: the one script that loads the engine says where it lies.
 */
async function nameEngine(folder: string) {
  const named = `"${ENGINE.name}"`;
  let changed = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".js")) continue;
    const path = join(folder, name);
    const source = await Deno.readTextFile(path);
    if (!source.includes(named)) continue;
    await Deno.writeTextFile(path, source.replaceAll(named, `"./${ENGINE.script}"`));
    changed += 1;
  }
  if (changed !== 1) throw new Error(`${changed} scripts load ${ENGINE.name}; one should`);
}

/** The headers as Netlify, Cloudflare Pages and others read them from a file. */
function headersFile(): string {
  const lines = Object.entries(HEADERS).map(([name, value]) => `  ${name}: ${value}`);
  return ["/*", ...lines].join("\n") + "\n";
}

/** Bytes of the files in a folder by their paths from there, with slashes. */
async function sizesIn(folder: string): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const file of await filesIn(folder)) {
    sizes.set(relative(folder, file).replaceAll("\\", "/"), (await Deno.stat(file)).size);
  }
  return sizes;
}

/** What a browser loads, in kilobytes as they are sent, with gzip. */
async function sizeReport(folder: string, files: ReadonlyMap<string, number>): Promise<string> {
  const kinds: readonly (readonly [string, RegExp])[] = [
    ["scripts", /\.m?js$/],
    ["engine", /\.wasm$/],
    ["model and texts", /^data\//],
    ["page and style", /\.(html|css|svg)$/],
  ];
  const lines: string[] = [];
  for (const [kind, names] of kinds) {
    let [plain, packed] = [0, 0];
    for (const [file, size] of files) {
      if (!names.test(file)) continue;
      plain += size;
      const { readable } = await Deno.open(join(folder, file));
      const stream = readable.pipeThrough(new CompressionStream("gzip"));
      packed += (await new Response(stream).arrayBuffer()).byteLength;
    }
    lines.push(
      `  ${kind.padEnd(16)}${formatBytes(plain).padStart(9)}${
        formatBytes(packed).padStart(9)
      } with gzip`,
    );
  }
  return lines.join("\n");
}

if (import.meta.main) {
  const { values: { out } } = parseArgs({
    options: { out: { type: "string", default: "dist/web" } },
  });
  const files = await buildPage(out);
  console.log(`${out} is ready for any host of files\n${await sizeReport(out, files)}`);
}
