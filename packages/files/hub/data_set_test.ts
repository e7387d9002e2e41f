import { HubError } from "@lopper/core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { listFilesDeep } from "../list_files.ts";
import type { MockContent } from "../testing/mock_repository.ts";
import { bytesOf, hubTest } from "../testing/with_hub.ts";
import { cachedRepository, cachedSnapshots, hubCacheFolder } from "./cache.ts";
import { downloadDataSet } from "./data_set.ts";

const options = { maxBytes: 1e6 };
const SET = { type: "dataset", name: "org/set" } as const;
const withSet = (set: MockContent) => ({ datasets: { "org/set": set } });

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
      "a.jsonl": bytesOf("{}\n"),
      "data/b.jsonl": bytesOf("{}\n".repeat(9)),
      "data/c.bin": new Uint8Array(70_000).fill(7),
    },
  },
};

hubTest(
  "chosen files come into the cache as other programs have them",
  withSet(three),
  async (hub, mock) => {
    assert.deepEqual(await cachedSnapshots(cachedRepository(hub.cache, SET)), []);
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
    const commit = mock.repositories.get("datasets/org/set")!.branches.get("main")!;
    assert.equal(folder, join(hub.cache, "datasets--org--set", "snapshots", commit));
    assert.deepEqual(files, ["data/c.bin", "data/b.jsonl"]);
    assert.deepEqual(await listFilesDeep(folder), ["data/b.jsonl", "data/c.bin"]);
    const { main } = three.branches;
    assert.deepEqual(await Deno.readFile(join(folder, "data/c.bin")), main["data/c.bin"]);
    assert.deepEqual(seen.slice(-2), [70_027, 70_027]);
    const ref = join(cachedRepository(hub.cache, SET), "refs", "main");
    assert.equal(await Deno.readTextFile(ref), commit);

    // that of main first, whatever its name
    const others = ["0".repeat(40), "f".repeat(40)];
    for (const name of others) await Deno.mkdir(join(folder, "..", name));
    const found = await cachedSnapshots(cachedRepository(hub.cache, SET));
    assert.deepEqual(found.map((path) => path.slice(-40)), [commit, ...others]);
  },
);

hubTest(
  "what its publisher has in another form comes from the branch of conversions",
  withSet({
    branches: {
      main: { "script.py": bytesOf("") },
      "refs/convert/parquet": { "default/test/0000.parquet": bytesOf("PAR1") },
    },
  }),
  async (hub) => {
    const parquet = (paths: readonly string[]) => paths.filter((path) => path.endsWith(".parquet"));
    const { folder, files } = await downloadDataSet(hub, "org/set", parquet, options);
    assert.equal(await Deno.readTextFile(join(folder, files[0])), "PAR1");
    await assert.rejects(
      downloadDataSet(hub, "org/set", () => [], options),
      /org\/set on http.* does not have the files/,
    );
  },
);

hubTest("data sets that are too large are not downloaded", withSet(three), async (hub) => {
  await assert.rejects(
    downloadDataSet(hub, "org/set", () => ["data/c.bin"], { maxBytes: 1000 }),
    (error) => error instanceof HubError && /70\.0 kB .* 1\.0 kB at most/.test(error.message),
  );
  assert.deepEqual(await listFilesDeep(hub.cache), []);
});
