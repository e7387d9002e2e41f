import {
  entryOf,
  type Files,
  isLarge,
  type MockContent,
  MockRepository,
  refused,
} from "./mock_repository.ts";
import { MockUploads } from "./mock_uploads.ts";

/** What is asked of a mock hub. */
export interface MockRequest {
  readonly request: Request;
  /** Path of the address, decoded. */
  readonly path: string;
  /** How often this path was asked for, this time included. */
  readonly times: number;
  /** What it gives when it behaves. */
  readonly behave: () => Promise<Response>;
}

/** What a mock hub answers instead; null where it behaves. */
export type Misbehaviour = (asked: MockRequest) => Response | Promise<Response> | null;

export interface MockHubOptions {
  readonly models?: Readonly<Record<string, MockContent>>;
  readonly datasets?: Readonly<Record<string, MockContent>>;
  /** The token with which everything may be written. */
  readonly writer?: string;
}

export interface MockHub extends AsyncDisposable {
  readonly endpoint: string;
  /** Paths that were asked for, in order; those of large files once more, where they lie. */
  readonly asked: readonly string[];
  /** Repositories by type and name: `models/org/name`. */
  readonly repositories: Map<string, MockRepository>;
  /** From now on. */
  misbehave(how: Misbehaviour): void;
}

/** Entries of a page of the list of files. */
const PAGE = 2;

/**
 * A hub on this machine (huggingface.co/docs/hub/api): lists in pages of two, and large files on
 * another host, which must not see a token.
 */
export function mockHub({ models = {}, datasets = {}, writer }: MockHubOptions): MockHub {
  const repositories = new Map<string, MockRepository>();
  for (const [type, all] of Object.entries({ models, datasets })) {
    for (const [name, content] of Object.entries(all)) {
      repositories.set(`${type}/${name}`, new MockRepository(content));
    }
  }
  const asked: string[] = [];
  let misbehaviour: Misbehaviour = () => null;
  const listen = (handle: (request: Request, path: string) => Promise<Response>) =>
    Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      asked.push(path);
      const times = asked.filter((other) => other === path).length;
      const behave = () => handle(request, path);
      return await misbehaviour({ request, path, times, behave }) ?? await behave();
    });
  const attributes = { ".gitattributes": new Uint8Array() };
  const uploads = new MockUploads(
    writer,
    repositories,
    () => new MockRepository({ branches: { main: attributes } }),
  );
  const storage = listen(async (request, path) =>
    request.method === "GET"
      ? stored(repositories, request, path)
      : await uploads.put(request, path)
  );
  const address = `http://127.0.0.1:${storage.addr.port}`;
  const hub = listen(async (request, path) =>
    request.method === "GET"
      ? answer(repositories, address, request, path)
      : await uploads.post(request, path, address)
  );
  return {
    endpoint: `http://127.0.0.1:${hub.addr.port}`,
    asked,
    repositories,
    misbehave: (how) => void (misbehaviour = how),
    async [Symbol.asyncDispose]() {
      await hub.shutdown();
      await storage.shutdown();
    },
  };
}

type Repositories = ReadonlyMap<string, MockRepository>;

function answer(
  repositories: Repositories,
  storage: string,
  request: Request,
  path: string,
): Response {
  const [, isApi, kind = "models", name, verb, rest] =
    /^\/(?:(api)\/)?(?:(models|datasets)\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/(.*)$/
      .exec(path) ?? [];
  const repository = repositories.get(`${kind}/${name}`);
  if (!repository || !isApi !== (verb === "resolve")) return refused(404, "RepoNotFound");
  const { token, isGated } = repository;
  if (isGated) return refused(403, "GatedRepo");
  if (token !== undefined && request.headers.get("authorization") !== `Bearer ${token}`) {
    return refused(401, "");
  }
  if (verb === "revision") {
    const commit = repository.branches.get(rest) ?? rest;
    if (!repository.files(commit)) return refused(404, "RevisionNotFound");
    return Response.json({ _id: "0", id: name, sha: commit, lastModified: new Date(0) });
  }
  const commit = rest.split("/")[0];
  const files = repository.files(commit);
  if (!files) return refused(404, "RevisionNotFound");
  if (verb === "tree") return listing(new URL(request.url), files);
  const file = rest.slice(commit.length + 1);
  if (!Object.hasOwn(files, file)) return refused(404, "EntryNotFound");
  return isLarge(file)
    ? Response.redirect(`${storage}/${kind}/${name}/${commit}/${encodeURIComponent(file)}`)
    : fileResponse(request, files[file]);
}

/** Where large files lie; whoever shows a token here shows it to a stranger. */
function stored(repositories: Repositories, request: Request, path: string): Response {
  if (request.headers.has("authorization")) return refused(400, "TokenShown");
  const [, key, commit, file] = /^\/([^/]+\/[^/]+\/[^/]+)\/([^/]+)\/(.*)$/.exec(path) ?? [];
  const bytes = repositories.get(key)?.files(commit)?.[file];
  return bytes ? fileResponse(request, bytes) : refused(404, "EntryNotFound");
}

function listing(url: URL, files: Files): Response {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const entries = Object.entries(files).map(([path, bytes]) => entryOf(path, bytes));
  const next = new URL(url);
  next.searchParams.set("cursor", String(start + PAGE));
  const headers: HeadersInit = start + PAGE < entries.length
    ? { link: `<${next.href}>; rel="next"` }
    : {};
  return Response.json(entries.slice(start, start + PAGE), { headers });
}

function fileResponse(request: Request, bytes: Uint8Array): Response {
  const from = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
  if (from === undefined) return new Response(bytes.slice());
  const last = bytes.byteLength - 1;
  const headers = { "content-range": `bytes ${from}-${last}/${bytes.byteLength}` };
  return new Response(bytes.slice(Number(from)), { status: 206, headers });
}
