import { HubError } from "@lopper/core";
import { commitOf, type MockDataSet, mockHub } from "./testing/mock_hub.ts";
import { cachedDataSet, cachedSnapshots, hubCacheFolder } from "./hub_cache.ts";
import { downloadDataSet } from "./hub_data_set.ts";
import { listFilesDeep } from "./list_files.ts";
import assert from "node:assert/strict";
import { join } from "node:path";

const bytes = (text: string) => new TextEncoder().encode(text);
const options = { maxBytes: 1e6 };

function hubTest(
  name: string,
  dataSet: MockDataSet,
  body: (hub: { endpoint: string; token: null; cache: string }) => Promise<void>,
) {
  Deno.test({
    name: `hub: ${name}`,
    // The hub's package leaves the answer to its question for the size unread.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      const cache = await Deno.makeTempDir({ prefix: "lopper-test-" });
      const hub = mockHub({ "org/set": dataSet });
      try {
        await body({ endpoint: hub.endpoint, token: null, cache });
      } finally {
        await hub.close();
        await Deno.remove(cache, { recursive: true });
      }
    },
  });
}

Deno.test("hub: the cache is where the variables of Hugging Face's programs say", () => {
  const folder = (variables: Record<string, string>) =>
    hubCacheFolder((name) => variables[name], "/home/me");
  assert.equal(folder({}), "/home/me/.cache/huggingface/hub");
  assert.equal(folder({ XDG_CACHE_HOME: "/x" }), "/x/huggingface/hub");
  assert.equal(folder({ XDG_CACHE_HOME: "/x", HF_HOME: "/hf" }), "/hf/hub");
  assert.equal(folder({ HF_HOME: "/hf", HF_HUB_CACHE: "/cache" }), "/cache");
  assert.equal(folder({ HF_HOME: "/hf", HF_HUB_CACHE: "" }), "/hf/hub");
});

const three = {
  branches: {
    main: {
      "a.jsonl": bytes("{}\n"),
      "data/b.jsonl": bytes("{}\n".repeat(9)),
      "data/c.bin": new Uint8Array(70_000).fill(7),
    },
  },
};

hubTest("chosen files come into the cache as other programs have them", three, async (hub) => {
  assert.deepEqual(await cachedSnapshots(cachedDataSet(hub.cache, "org/set")), []);
  const seen: number[] = [];
  const { folder, files } = await downloadDataSet(
    hub,
    "org/set",
    (paths) => {
      assert.deepEqual(paths, Object.keys(three.branches.main), "of all pages");
      return ["data/c.bin", "data/b.jsonl"];
    },
    { ...options, onProgress: (done, total) => seen.push(done, total) },
  );
  assert.equal(folder, join(hub.cache, "datasets--org--set", "snapshots", commitOf("main")));
  assert.deepEqual(files, ["data/c.bin", "data/b.jsonl"]);
  assert.deepEqual(await listFilesDeep(folder), ["data/b.jsonl", "data/c.bin"]);
  assert.deepEqual(
    await Deno.readFile(join(folder, "data/c.bin")),
    three.branches.main["data/c.bin"],
  );
  assert.deepEqual(seen.slice(-2), [70_027, 70_027]);
  const main = join(hub.cache, "datasets--org--set", "refs", "main");
  assert.equal(await Deno.readTextFile(main), commitOf("main"));

  // that of main first, whatever its name
  const others = ["0".repeat(40), "f".repeat(40)];
  for (const name of others) await Deno.mkdir(join(folder, "..", name));
  const found = await cachedSnapshots(cachedDataSet(hub.cache, "org/set"));
  assert.deepEqual(found.map((path) => path.slice(-40)), [commitOf("main"), ...others]);
});

hubTest(
  "what its publisher has in another form comes from the branch of conversions",
  {
    branches: {
      main: { "script.py": bytes("") },
      "refs/convert/parquet": { "default/test/0000.parquet": bytes("PAR1") },
    },
  },
  async (hub) => {
    const parquet = (paths: readonly string[]) => paths.filter((path) => path.endsWith(".parquet"));
    const { folder, files } = await downloadDataSet(hub, "org/set", parquet, options);
    assert.equal(await Deno.readTextFile(join(folder, files[0])), "PAR1");
    assert.equal(folder.slice(-40), commitOf("refs/convert/parquet"));
    await assert.rejects(
      downloadDataSet(hub, "org/set", () => [], options),
      /org\/set on http.* does not have the files/,
    );
  },
);

hubTest("a file that cannot be had whole is not there", three, async (hub) => {
  const cut: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const range = new Headers(init?.headers).has("range");
    if (!response.url.endsWith("c.bin") || range) return response;
    return new Response((await response.bytes()).slice(0, 60_000));
  };
  await assert.rejects(
    downloadDataSet({ ...hub, fetch: cut }, "org/set", () => ["data/c.bin"], options),
    /60000 of 70000 bytes/,
  );
  assert.deepEqual(await listFilesDeep(hub.cache), []);
});

hubTest(
  "paths that leave the folder, and large files, are not downloaded",
  { branches: { main: { "../../x.jsonl": bytes("x"), "a/../b": bytes("x"), "y": bytes("yy") } } },
  async (hub) => {
    const choose = (paths: readonly string[]) => {
      assert.deepEqual(paths, ["y"]);
      return paths;
    };
    await assert.rejects(
      downloadDataSet(hub, "org/set", choose, { maxBytes: 1 }),
      (error: Error) => error instanceof HubError && /2 bytes and .* 1 at most/.test(error.message),
    );
    assert.deepEqual(await listFilesDeep(hub.cache), []);
  },
);

hubTest("refusals say what opens a data set", { ...three, token: "hf_me" }, async (hub) => {
  const download = (token: string | null, name = "org/set") =>
    downloadDataSet({ ...hub, token }, name, () => ["a.jsonl"], options);
  await assert.rejects(download(null), /refuses that \(401\); HF_TOKEN may hold what opens it/);
  await assert.rejects(download("hf_you"), /the token of HF_TOKEN does not open it/);
  assert.deepEqual((await download("hf_me")).files, ["a.jsonl"]);
  await assert.rejects(download(null, "org/none"), /org\/none was looked for on http.* 404/);
});

Deno.test("hub: without a network the message says what was looked for, and where", async () => {
  const offline = {
    endpoint: "http://127.0.0.1:9",
    token: null,
    cache: "/nowhere",
  };
  await assert.rejects(
    downloadDataSet(offline, "org/set", () => [], options),
    (error: Error) =>
      error instanceof HubError && error.status === null &&
      /org\/set was looked for on http:\/\/127\.0\.0\.1:9: it cannot be reached/.test(
        error.message,
      ),
  );
});
