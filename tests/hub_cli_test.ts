import assert from "node:assert/strict";
import { mockHub } from "@lopper/files/testing";
import { inTemporaryFolder, runLopper } from "./support/cli.ts";
import { runHere } from "./support/in_process.ts";

const fixture = (path: string) => Deno.readFileSync(new URL(`fixtures/${path}`, import.meta.url));
const CASES = JSON.parse(new TextDecoder().decode(fixture("evaluation/cases.json")));
const PIQA = CASES.tasks.piqa.rows.map((row: unknown) => JSON.stringify(row) + "\n").join("");

Deno.test("cli evaluate: data sets come from the hub, and from its cache when there is no network", () =>
  inTemporaryFolder(async (folder) => {
    const hub = mockHub({
      datasets: {
        "Salesforce/wikitext": {
          branches: {
            main: {
              "README.md": new Uint8Array(9),
              "wikitext-2-raw-v1/test-00000-of-00001.parquet": fixture("parquet/lines.parquet"),
              "wikitext-2-raw-v1/train-00000-of-00001.parquet": new Uint8Array(9),
            },
          },
        },
        "baber/piqa": {
          token: "hf_secret",
          branches: { main: { "data/validation.jsonl": new TextEncoder().encode(PIQA) } },
        },
      },
    });
    const args = ["evaluate", "demo", "--tasks", "wikitext2,piqa", "--seq-len", "16", "--json"];
    args.push("--threads", "1");
    const env = { HF_ENDPOINT: `${hub.endpoint}/`, HF_HOME: `${folder}/hf` };
    try {
      const refused = await runHere(args, folder, env);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /data set of piqa .* HF_TOKEN may hold what opens it/);

      // With no more permissions than its task has.
      const { code, stdout, stderr } = await runLopper(args, folder, {
        ...env,
        HF_TOKEN: "hf_secret",
      });
      assert.equal(code, 0, stderr);
      const { models: [{ texts, tasks }] } = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
      assert.ok(texts[0].perplexity > 1);
      assert.equal(tasks[0].metrics.acc.value, CASES.tasks.piqa.metrics.acc.value);
      const downloads = hub.asked.filter((path) => path.includes("/resolve/"));
      assert.ok(!downloads.some((path) => /README|train/.test(path)), downloads.join(" "));
    } finally {
      await hub[Symbol.asyncDispose]();
    }
    const again = await runHere(args, folder, env);
    assert.equal(again.code, 0, again.stderr);
  }));

Deno.test("cli evaluate: without a network or a cache the message says what to fetch", () =>
  inTemporaryFolder(async (folder) => {
    const evaluate = (args: readonly string[], env: Record<string, string>) =>
      runHere(["evaluate", "demo", "--tasks", "boolq", ...args], folder, env);
    const cache = { HF_HUB_CACHE: `${folder}/cache` };
    const expected =
      /data set of boolq \(aps\/super_glue on the hub: boolq, validation\) is not in the cache of Hugging Face \(.*cache\)/;
    for (
      const [args, env, why] of [
        [[], { HF_ENDPOINT: "http://127.0.0.1:9" }, /cannot be reached .*--data names a folder/],
        [["--offline"], {}, /nothing is to be downloaded \(--offline\)/],
        [[], { HF_HUB_OFFLINE: "1" }, /nothing is to be downloaded/],
      ] as const
    ) {
      const { code, stdout, stderr } = await evaluate(args, { ...cache, ...env });
      assert.equal(code, 1, stderr);
      assert.match(stderr, expected);
      assert.match(stderr, why);
      assert.doesNotMatch(stderr, /^\s+at /m);
      assert.equal(stdout, "");
    }
    const token = await evaluate([], { HF_TOKEN: "secret" });
    assert.equal(token.code, 2);
    assert.match(token.stderr, /HF_TOKEN is no token/);
    assert.doesNotMatch(token.stderr, /secret/);
    const address = await evaluate([], { HF_ENDPOINT: "hub.local" });
    assert.equal(address.code, 2);
    assert.match(address.stderr, /HF_ENDPOINT is "hub.local"/);
    for (const endpoint of ["https://me:secret@hub.local", "me:secret@hub.local"]) {
      const named = await evaluate([], { HF_ENDPOINT: endpoint });
      assert.equal(named.code, 2);
      assert.match(named.stderr, /HF_ENDPOINT holds a name or a password/);
      assert.doesNotMatch(named.stderr, /secret/);
    }
  }));
