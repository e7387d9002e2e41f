/**
 * Builds the page of apps/web and serves it on this machine.
 *
 * Usage: deno task web [--port 8000]
 */
import { extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { HEADERS } from "../../apps/web/policy.ts";
import { buildPage } from "./build_page.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

/** Answers a request with a file of a folder. */
export async function answer(
  folder: string,
  request: Request,
  headers: Readonly<Record<string, string>> = HEADERS,
): Promise<Response> {
  const file = await fileAt(folder, new URL(request.url).pathname);
  if (!file) return new Response("there is no such file", { status: 404, headers: { ...headers } });
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  const { readable } = await Deno.open(file);
  return new Response(readable, { headers: { ...headers, "Content-Type": type } });
}

/** The file of a folder that an address means; null for none. */
async function fileAt(folder: string, address: string): Promise<string | null> {
  try {
    const path = normalize(decodeURIComponent(address));
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    return (await Deno.stat(file)).isFile ? file : null;
  } catch {
    // Whatever else an address holds, it is no file of this folder.
    return null;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "8000" } } });
  const folder = await Deno.makeTempDir({ prefix: "lopper-web-" });
  await buildPage(folder);
  const onListen = ({ port }: Deno.NetAddr) =>
    console.log(`Lopper is at http://localhost:${port}/ until Ctrl-C`);
  // Only this machine is answered.
  const server = Deno.serve(
    { hostname: "localhost", port: Number(values.port), onListen },
    (request) => answer(folder, request),
  );
  Deno.addSignalListener("SIGINT", () => server.shutdown());
  await server.finished;
  await Deno.remove(folder, { recursive: true });
}
