/** The part of the hub's interface by which data sets are downloaded. */
export interface MockDataSet {
  /** Files by branch and path. */
  readonly branches: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  /** The token without which it is refused. */
  readonly token?: string;
}

export interface MockHub {
  readonly endpoint: string;
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/** Commit of a branch. */
export function commitOf(branch: string): string {
  return branch === "main" ? "a".repeat(40) : "b".repeat(40);
}

/** Entries of a page of the list of files. */
const PAGE = 2;

/**
 * Serves data sets on this machine as the hub does (huggingface.co/docs/hub/api), what it lists in
 * pages of two.
 */
export function mockHub(dataSets: Readonly<Record<string, MockDataSet>>): MockHub {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname);
    asked.push(path);
    const name = Object.keys(dataSets).find((name) => path.includes(`datasets/${name}/`));
    if (name === undefined) {
      return Response.json({ error: "Repository not found" }, { status: 404 });
    }
    const { branches, token } = dataSets[name];
    if (token !== undefined && request.headers.get("authorization") !== `Bearer ${token}`) {
      return Response.json({ error: "Access is restricted" }, { status: 401 });
    }
    const [, kind, rest] = /^\/(?:api\/)?datasets\/[^/]+\/[^/]+\/(revision|tree|resolve)\/(.*)$/
      .exec(path) ?? [];
    if (kind === "revision") {
      if (!(rest in branches)) return Response.json({ error: "Invalid rev id" }, { status: 404 });
      return Response.json({ _id: "0", id: name, sha: commitOf(rest), lastModified: new Date(0) });
    }
    const [sha] = (rest ?? "").split("/");
    const files = Object.entries(branches).find(([branch]) => commitOf(branch) === sha)?.[1] ?? {};
    if (kind === "tree") return listing(url, files);
    const bytes = files[rest.slice(sha.length + 1)];
    if (bytes === undefined) return new Response(null, { status: 404 });
    return fileResponse(request, bytes);
  });
  return {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    asked,
    close: () => server.shutdown(),
  };
}

function listing(url: URL, files: Readonly<Record<string, Uint8Array>>): Response {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const entries = Object.entries(files).map(([path, { byteLength }]) => ({
    type: "file",
    path,
    size: byteLength,
    oid: "0".repeat(40),
  }));
  const next = new URL(url);
  next.searchParams.set("cursor", String(start + PAGE));
  const headers: HeadersInit = start + PAGE < entries.length
    ? { link: `<${next.href}>; rel="next"` }
    : {};
  return Response.json(entries.slice(start, start + PAGE), { headers });
}

function fileResponse(request: Request, bytes: Uint8Array): Response {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  const headers = { etag: `"${bytes.byteLength}"` };
  if (first === undefined) return new Response(bytes.slice(), { headers });
  return new Response(bytes.slice(Number(first), Number(last) + 1), {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${first}-${last}/${bytes.byteLength}` },
  });
}
