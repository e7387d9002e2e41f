import { HubError } from "@lopper/core";
import assert from "node:assert/strict";
import { join } from "node:path";
import type { MockRepository } from "../testing/mock_repository.ts";
import { bytesOf, hubTest, type TestHub } from "../testing/with_hub.ts";
import { type Pushed, pushModel } from "./push.ts";

const WRITER = { writer: "hf_me" };
const WEIGHTS = Uint8Array.from({ length: 250_000 }, (_, i) => i % 241);
const FILES: Readonly<Record<string, Uint8Array>> = {
  "README.md": bytesOf("a card, größer"),
  "config.json": bytesOf("{}"),
  "model.safetensors": WEIGHTS,
  "onnx/model.onnx": new Uint8Array(50_000).fill(3),
  "empty.txt": new Uint8Array(),
};

interface Told {
  readonly pushed: Pushed;
  readonly made: readonly string[];
  readonly others: readonly string[];
  readonly bytes: readonly (readonly [string, number, number])[];
}

async function push(
  hub: TestHub,
  { files = FILES, branch = "main", isPrivate = false, name = "org/new" } = {},
): Promise<Told> {
  const folder = await Deno.makeTempDir({ dir: hub.cache });
  const pushed = Object.entries(files).map(([path, bytes], i) => {
    const place = join(folder, String(i));
    Deno.writeFileSync(place, bytes);
    return { path, place, size: bytes.byteLength };
  });
  const told = {
    made: [] as string[],
    others: [] as string[],
    bytes: [] as [string, number, number][],
  };
  const result = await pushModel(
    { ...hub, token: hub.token ?? "hf_me" },
    { name, branch, message: "A model", isPrivate, files: pushed },
    {
      onNew: (what) => told.made.push(what),
      onOthers: (paths) => told.others.push(...paths),
      onBytes: (...all) => told.bytes.push(all),
    },
  );
  return { pushed: result, ...told };
}

const fails = (body: Promise<unknown>, message: RegExp) =>
  assert.rejects(body, (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.match(error.message, message);
    return true;
  });

const has = (repository: MockRepository, branch = "main") => {
  const { ".gitattributes": _, ...files } = repository.files(branch)!;
  return files;
};

hubTest(
  "a push makes the repository, and puts all files there in one commit",
  WRITER,
  async (hub, mock) => {
    const { pushed, made, bytes, others } = await push(hub);
    assert.deepEqual(made, ["repository"]);
    assert.deepEqual(others, []);
    const repository = mock.repositories.get("models/org/new")!;
    assert.deepEqual(has(repository), FILES);
    assert.deepEqual(repository.messages, ["A model"]);
    assert.equal(repository.visibility, "public");
    assert.equal(pushed.commit, repository.branches.get("main"));
    assert.equal(pushed.url, `${mock.endpoint}/org/new`);
    assert.deepEqual(pushed.sent, Object.keys(FILES));
    const total = Object.values(FILES).reduce((sum, { byteLength }) => sum + byteLength, 0);
    for (const phase of ["reading", "sending"]) {
      const done = bytes.filter(([which]) => which === phase);
      assert.ok(done.every(([, , all]) => all === total));
      const large = WEIGHTS.byteLength + 50_000;
      assert.ok(done.at(-1)![1] >= large, `${phase} ${done.at(-1)}`);
    }
  },
);

hubTest(
  "what is there already is not sent again, and what is there besides stays",
  WRITER,
  async (hub, mock) => {
    await push(hub);
    const repository = mock.repositories.get("models/org/new")!;
    const commit = repository.branches.get("main");
    const again = await push(hub);
    assert.deepEqual([again.pushed.sent, again.pushed.commit, again.made], [[], commit, []]);
    const { "empty.txt": _, ...fewer } = FILES;
    const files = { ...fewer, "config.json": bytesOf("[]"), "LICENSE": bytesOf("terms") };
    const changed = await push(hub, { files });
    assert.deepEqual(changed.pushed.sent, ["config.json", "LICENSE"]);
    assert.deepEqual(changed.others, ["empty.txt"]);
    assert.deepEqual(has(repository), { ...files, "empty.txt": new Uint8Array() });
  },
);

hubTest("a branch is made, a private repository is private", WRITER, async (hub, mock) => {
  const { made } = await push(hub, { branch: "v1", isPrivate: true });
  assert.deepEqual(made, ["repository", "branch"]);
  const repository = mock.repositories.get("models/org/new")!;
  assert.equal(repository.visibility, "private");
  assert.deepEqual(has(repository, "v1"), FILES);
  assert.deepEqual(has(repository), {});
  assert.deepEqual((await push(hub, { branch: "v1", files: { a: bytesOf("b") } })).made, []);
});

hubTest("a busy hub and a broken connection do not end a push", WRITER, async (hub, mock) => {
  mock.misbehave(({ path, times }) => {
    if (times > 1) return null;
    if (path.includes("/preupload/")) return new Response(null, { status: 503 });
    if (path.endsWith("/00002")) return new Response(null, { status: 500 });
    return null;
  });
  const { bytes } = await push(hub);
  assert.deepEqual(has(mock.repositories.get("models/org/new")!), FILES);
  assert.deepEqual(hub.pauses, [1000, 1000]);
  assert.ok(bytes.every(([, done, total]) => done <= total));
});

hubTest("a commit of which nobody knows what became is not made twice", WRITER, async (hub) => {
  let commits = 0;
  const breaking: typeof fetch = (input, init) => {
    if (!String(input).includes("/commit/")) return fetch(input, init);
    commits += 1;
    return Promise.reject(new TypeError("connection reset"));
  };
  await fails(push({ ...hub, fetch: breaking }), /cannot be reached \(connection reset\)/);
  assert.equal(commits, 1);
});

hubTest("a push that is refused says so", WRITER, async (hub, mock) => {
  const other = { ...hub, token: "hf_you" };
  await fails(
    push(other),
    /^org\/new was to be written on http\S+: it refuses that \(403\); the token of HF_TOKEN may not write there$/,
  );
  assert.equal(mock.repositories.size, 0);
});

hubTest("somebody else's commit meanwhile is not overwritten", WRITER, async (hub, mock) => {
  mock.misbehave(({ path }) => {
    if (path.includes("/preupload/")) {
      mock.repositories.get("models/org/new")!.commit("main", { a: bytesOf("b") });
    }
    return null;
  });
  await fails(
    push(hub),
    /somebody changed the branch meanwhile \(412\); run the same command again/,
  );
  assert.deepEqual(has(mock.repositories.get("models/org/new")!), { a: bytesOf("b") });
});

hubTest("other bytes than were sent are noticed", WRITER, async (hub, mock) => {
  mock.misbehave(({ path, behave }) => {
    if (!path.includes("/commit/")) return null;
    return behave().then((response) => {
      const repository = mock.repositories.get("models/org/new")!;
      const files = { ...repository.files("main"), "config.json": bytesOf("[]") };
      const commitOid = repository.commit("main", files);
      return response.body!.cancel().then(() => Response.json({ commitOid }));
    });
  });
  await fails(push(hub), /config\.json, was looked for .* it holds other bytes than were sent$/);
});

hubTest("what no hub answers is no success", WRITER, async (hub, mock) => {
  mock.misbehave(({ path }) => path.includes("/commit/") ? Response.json({}) : null);
  await fails(push(hub), /org\/new was /);
});
