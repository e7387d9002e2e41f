import { isLarge, type MockRepository, refused, sha256Of } from "./mock_repository.ts";

/** Bytes of a part of a large file. */
const PART_BYTES = 100_000;

interface Batch {
  readonly objects: readonly { readonly oid: string; readonly size: number }[];
  readonly transfers: readonly string[];
}

/**
 * The part of a mock hub by which files come into it: small ones in the commit, large ones before.
 */
export class MockUploads {
  /** Who may write; nobody without it. */
  readonly #writer: string | undefined;
  readonly #repositories: Map<string, MockRepository>;
  readonly #newRepository: () => MockRepository;
  /** Large files by their digests, and parts by the digest and the number. */
  readonly #stored = new Map<string, Uint8Array>();

  constructor(
    writer: string | undefined,
    repositories: Map<string, MockRepository>,
    newRepository: () => MockRepository,
  ) {
    this.#writer = writer;
    this.#repositories = repositories;
    this.#newRepository = newRepository;
  }

  /** Answers what is posted to the hub. */
  async post(request: Request, path: string, storage: string): Promise<Response> {
    if (request.headers.get("authorization") !== `Bearer ${this.#writer}`) return refused(403, "");
    if (path === "/api/repos/create") return this.#create(await request.json());
    const batch = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(path);
    if (batch) return this.#batch(await request.json(), storage);
    const [, name, verb, branch] =
      /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|commit|branch)\/(.*)$/.exec(path) ?? [];
    const repository = this.#repositories.get(`models/${name}`);
    if (!repository) return refused(404, "RepoNotFound");
    if (verb === "branch") {
      repository.commit(branch, repository.files("main")!);
      return Response.json({});
    }
    const parent = repository.branches.get(branch);
    if (parent === undefined) return refused(404, "RevisionNotFound");
    if (verb === "commit") return this.#commit(repository, branch, await request.text());
    const { files } = await request.json() as { files: { path: string }[] };
    const modes = files.map(({ path }) => ({
      path,
      uploadMode: isLarge(path) ? "lfs" : "regular",
    }));
    return Response.json({ files: modes });
  }

  /** Takes what is put into the storage; like other storages, none whose length nobody knows. */
  async put(request: Request, path: string): Promise<Response> {
    if (request.headers.has("authorization")) return refused(400, "TokenShown");
    if (request.method === "POST") return this.#complete(await request.json());
    if (!request.headers.has("content-length")) return refused(411, "");
    this.#stored.set(path.slice("/upload/".length), await request.bytes());
    return new Response(null, { headers: { etag: '"part"' } });
  }

  #create({ organization, name, visibility }: Record<string, string>): Response {
    const key = `models/${organization}/${name}`;
    if (this.#repositories.has(key)) return refused(409, "");
    const repository = this.#newRepository();
    repository.visibility = visibility;
    this.#repositories.set(key, repository);
    return Response.json({ url: key });
  }

  #batch({ objects, transfers }: Batch, storage: string): Response {
    // It has no other storage.
    if (transfers.includes("xet")) return refused(501, "");
    const upload = ({ oid, size }: { oid: string; size: number }) => {
      const href = `${storage}/upload/${oid}`;
      if (size <= PART_BYTES) return { href };
      const count = Math.ceil(size / PART_BYTES);
      const parts = Array.from({ length: count }, (_, i) => String(i + 1).padStart(5, "0"));
      const header = Object.fromEntries(parts.map((part) => [part, `${href}/${part}`]));
      return { href, header: { ...header, chunk_size: String(PART_BYTES) } };
    };
    const answered = objects.map((object) => ({
      ...object,
      ...!this.#stored.has(object.oid) && { actions: { upload: upload(object) } },
    }));
    return Response.json({ transfer: "basic", objects: answered });
  }

  #complete({ oid, parts }: { oid: string; parts: { partNumber: number }[] }): Response {
    const keys = parts.map(({ partNumber }) => `${oid}/${String(partNumber).padStart(5, "0")}`);
    const bytes = keys.flatMap((key) => [...this.#stored.get(key) ?? []]);
    this.#stored.set(oid, Uint8Array.from(bytes));
    return Response.json({});
  }

  #commit(repository: MockRepository, branch: string, lines: string): Response {
    const files = { ...repository.files(branch) };
    for (const line of lines.split("\n")) {
      const { key, value } = JSON.parse(line);
      if (key === "header") {
        if (value.parentCommit !== repository.branches.get(branch)) return refused(412, "");
        repository.messages.push(value.summary);
      } else if (key === "file") {
        files[value.path] = Uint8Array.fromBase64(value.content);
      } else {
        const bytes = this.#stored.get(value.oid);
        if (!bytes || sha256Of(bytes) !== value.oid) return refused(400, "LfsNotFound");
        files[value.path] = bytes;
      }
    }
    const commitOid = repository.commit(branch, files);
    return Response.json({ success: true, commitOid, commitUrl: commitOid });
  }
}
