/**
 * Keeps all files of the page, so that it works without a network, and puts its headers on them
 * where the host that it came from does not: an isolated page may have several threads.
 */
import { HEADERS } from "./policy.ts";

/** What was built: a name that no other build has, and its files by their paths from here. */
declare const BUILD: { readonly name: string; readonly files: readonly string[] };

/** What TypeScript's library for pages does not name. */
interface Scope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", heard: (event: Lasting) => void): void;
  addEventListener(type: "fetch", heard: (event: Fetching) => void): void;
}
interface Lasting {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const PREFIX = "lopper-page-";
const NAME = PREFIX + BUILD.name;
const scope = globalThis as unknown as Scope;
const here = new URL("./", scope.location.href);

scope.addEventListener("install", (event) => event.waitUntil(keep()));
scope.addEventListener("activate", (event) => event.waitUntil(begin()));
scope.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(here.href)) event.respondWith(answer(event.request));
});

async function keep() {
  const cache = await caches.open(NAME);
  // What a browser has of an earlier build is not what belongs together.
  await cache.addAll(BUILD.files.map((file) => new Request(file, { cache: "reload" })));
}

async function begin() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
  }
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const path = url.pathname === here.pathname ? new URL("index.html", here).href : url.href;
  const kept = await (await caches.open(NAME)).match(path, { ignoreSearch: true });
  const found = kept ?? await fetch(request);
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}
