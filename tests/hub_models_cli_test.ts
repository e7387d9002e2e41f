import { type MockHub, mockHub } from "@lopper/files/testing";
import { tinyGguf } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { inTemporaryFolder, runLopper, startLopper } from "./support/cli.ts";
import { runHere } from "./support/in_process.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

type Files = Record<string, Uint8Array>;

/** The files of a folder. */
function filesOf(path: string): Files {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, Deno.readFileSync(`${path}/${name}`)]));
}

interface Place {
  readonly folder: string;
  readonly hub: MockHub;
  /** By which a command finds the hub, and its cache. */
  readonly env: Record<string, string>;
  /** What a tiny run needs besides its model. */
  readonly settings: readonly string[];
  /** A command that ends well; what it printed. */
  done(
    args: readonly string[],
    env?: Record<string, string>,
  ): Promise<{ out: string; err: string }>;
  /** The same in a process of its own, with no more permissions than its task has. */
  alone: Place["done"];
  /** A command that ends in one sentence. */
  fails(args: readonly string[], message: RegExp, env?: Record<string, string>): Promise<void>;
}

/** A folder in which org/m is a tiny model of a hub, and org/ggufs two files. */
function hubTest(name: string, body: (place: Place) => Promise<void>) {
  Deno.test(`models of the hub: ${name}`, () =>
    inTemporaryFolder(async (folder) => {
      const [model, ...settings] = await writeTinyRun(`${folder}/own`);
      await Deno.writeTextFile(`${model}/README.md`, "---\nlicense: apache-2.0\n---\n");
      const beside = {
        "pytorch_model.bin": new Uint8Array(9),
        "onnx/model.onnx": new Uint8Array(9),
      };
      const gguf = tinyGguf();
      await using hub = mockHub({
        models: {
          "org/m": { branches: { main: { ...filesOf(model), ...beside } } },
          "org/ggufs": { branches: { main: { "a.gguf": gguf, "b.gguf": gguf } } },
        },
      });
      const own = { HF_ENDPOINT: hub.endpoint, HF_HOME: `${folder}/hf` };
      const by = (run: typeof runLopper): Place["done"] => async (args, env) => {
        const { code, stdout, stderr } = await run(args, folder, { ...own, ...env });
        assert.equal(code, 0, stderr);
        return { out: stdout, err: stderr };
      };
      await body({
        ...{ folder, hub, settings, env: own, done: by(runHere), alone: by(runLopper) },
        async fails(args, message, env) {
          const { code, stdout, stderr } = await runHere(args, folder, { ...own, ...env });
          assert.equal(code, 1, stderr);
          assert.match(stderr.trimEnd(), message);
          assert.doesNotMatch(stderr, /^\s+at /m);
          assert.equal(stdout, "");
        },
      });
    }));
}

/** Whether a path is that of weights, where large files lie. */
const isWeights = (path: string) => path.startsWith("/models/") && path.endsWith("safetensors");
/** The first half of an answer, after which nothing comes. */
async function halfOnly(answer: Response): Promise<Response> {
  const bytes = await answer.bytes();
  const half = new ReadableStream({
    start: (controller) => controller.enqueue(bytes.subarray(0, bytes.byteLength / 2)),
  });
  return new Response(half);
}

const resolved = ({ asked }: MockHub) => asked.filter((path) => path.includes("/resolve/"));

hubTest(
  "only what is needed is downloaded, once, and goes without a network then",
  async (place) => {
    const { hub, folder, done, alone, fails } = place;
    const first = await alone(["inspect", "org/m", "--digest", "--json"]);
    assert.match(first.err, /^note: downloading org\/m \(commit [0-9a-f]{7}, .* kB\) from http/);
    const facts = JSON.parse(first.out);
    assert.equal(facts.name, "org/m");
    const own = JSON.parse((await done(["inspect", "./own/model", "--digest", "--json"])).out);
    assert.deepEqual(facts, { ...own, name: "org/m" });
    const names = resolved(hub).map((path) => path.split("/").at(-1)!).sort();
    assert.deepEqual(names, Object.keys(filesOf(`${folder}/own/model`)).sort());

    const before = resolved(hub).length;
    const again = await done(["inspect", "org/m@main", "--digest", "--json"]);
    assert.deepEqual([again.out, again.err], [first.out, ""]);
    assert.equal(resolved(hub).length, before);

    const asked = hub.asked.length;
    const commit = hub.repositories.get("models/org/m")!.branches.get("main")!;
    for (const name of ["org/m", `org/m@${commit}`]) {
      assert.equal(
        (await done(["inspect", name, "--digest", "--json", "--offline"])).out,
        first.out,
      );
    }
    assert.equal(
      (await done(["inspect", "org/m", "--digest", "--json"], { HF_HUB_OFFLINE: "1" })).out,
      first.out,
    );
    assert.equal(hub.asked.length, asked);
    const away = await done(["inspect", "org/m", "--digest", "--json"], {
      HF_ENDPOINT: "http://127.0.0.1:9",
    });
    assert.equal(away.out, first.out);
    assert.match(
      away.err,
      /cannot be reached .*; it is taken from the cache \(commit [0-9a-f]{7}\)/,
    );
    await fails(
      ["inspect", "org/m@v1", "--offline"],
      /org\/m@v1 is not in the cache .* \(--offline\)$/,
    );
  },
);

hubTest(
  "a run says which commit it is of, and goes on with that",
  async ({ hub, folder, settings, done, alone }) => {
    const repository = hub.repositories.get("models/org/m")!;
    const commit = repository.branches.get("main")!;
    const args = ["prune", "org/m", ...settings, "--out", "p"];
    await alone([...args, "--ratio", "5"]);
    const record = () => JSON.parse(Deno.readTextFileSync(`${folder}/p/run.json`));
    assert.equal(record().flags.model, `org/m@${commit}`);
    const page = await Deno.readTextFile(`${folder}/p/report.html`);
    assert.match(page, new RegExp(`prune org/m@${commit} `));
    const card = await Deno.readTextFile(`${folder}/p/README.md`);
    assert.match(card, /^license: apache-2\.0\n[^]*^base_model: org\/m$/m);
    assert.match(page, /<h1>[^<]*org\/m[^@<]*</);

    repository.commit("main", { "config.json": new Uint8Array() });
    const before = resolved(hub).length;
    await done([...args, "--resume", "--ratio", "10"]);
    await done(["prune", "--resume", "--out", "p", "--ratio", "15"]);
    assert.equal(record().flags.model, `org/m@${commit}`);
    assert.equal(resolved(hub).length, before);
  },
);

hubTest(
  "every command takes a name; a file of the repository, too",
  async ({ done, alone, fails, hub }) => {
    const { out } = await alone([
      "generate",
      "org/m",
      "a",
      "--max-tokens",
      "2",
      "--temperature",
      "0",
    ]);
    const local = await done([
      "generate",
      "own/model",
      "a",
      "--max-tokens",
      "2",
      "--temperature",
      "0",
    ]);
    assert.equal(out, local.out);
    await alone(["export", "org/m", "--to", "safetensors", "--out", "x", "--verify", "none"]);
    const measure = ["--perplexity", "own/held_out.jsonl", "--seq-len", "16", "--json"];
    const last = (text: string) => JSON.parse(text.trimEnd().split("\n").at(-1)!);
    const evaluated = last((await alone(["evaluate", "org/m", "own/model", ...measure])).out);
    const [{ model, texts }, other] = evaluated.models;
    assert.deepEqual([model, texts], ["org/m", other.texts]);
    // Its speed is measured by a process that has no network.
    const compared = last((await alone(["compare", "own/model", "org/m", ...measure])).out);
    assert.deepEqual(compared.models.map(({ model }: { model: string }) => model), [
      "model",
      "org/m",
    ]);
    assert.ok(compared.models[1].speed.decodeTokensPerSecond > 0);

    const { out: facts } = await done(["inspect", "org/ggufs:b.gguf", "--digest", "--json"]);
    assert.equal(JSON.parse(facts).name, "org/ggufs:b.gguf");
    const files = resolved(hub).filter((path) => path.includes("ggufs"));
    assert.equal(files.length, 1, files.join());
    await done(["inspect", "org/ggufs:a.gguf"]);
    await fails(
      ["inspect", "org/ggufs"],
      /org\/ggufs holds 2 GGUF files .*\(a\.gguf and b\.gguf\)$/,
    );
    await fails(["inspect", "org/ggufs:c.gguf"], /org\/ggufs: there is no file c\.gguf/);
  },
);

hubTest(
  "what cannot be had is said in a sentence, and nothing is begun",
  async ({ folder, hub, fails }) => {
    await fails(
      ["inspect", "org/none"],
      /^lopper: org\/none is no file or folder here, and org\/none@main was .* nothing of that name \(404\)/,
    );
    await fails(
      ["inspect", "org/m@v9"],
      /org\/m@v9 was looked for .* no such branch, tag or commit/,
    );
    hub.misbehave(({ path }) => path.endsWith("safetensors") ? new Response("short") : null);
    await fails(["prune", "org/m", "--out", "p"], /model\.safetensors, .* and gives 5$/);
    await assert.rejects(Deno.stat(`${folder}/p`), Deno.errors.NotFound);
  },
);

hubTest("a process that is killed leaves what the next one goes on with", async (place) => {
  const { hub, folder, done } = place;
  const ranges: (string | null)[] = [];
  hub.misbehave(({ request, path, times, behave }) => {
    if (!isWeights(path)) return null;
    ranges.push(request.headers.get("range"));
    return times === 1 ? behave().then(halfOnly) : null;
  });
  const process = startLopper(["inspect", "org/m"], folder, place.env);
  const blobs = `${folder}/hf/hub/models--org--m/blobs`;
  const partial = () => {
    const names = [...Deno.readDirSync(blobs)].map(({ name }) => name);
    const name = names.find((name) => name.endsWith("lopper-partial"));
    return name === undefined ? 0 : Deno.statSync(`${blobs}/${name}`).size;
  };
  while (ranges.length === 0 || partial() === 0) await new Promise((f) => setTimeout(f, 20));
  const size = partial();
  process.kill("SIGKILL");
  await process.output();
  await done(["inspect", "org/m"]);
  assert.deepEqual(ranges, [null, `bytes=${size}-`]);
  const left = [...Deno.readDirSync(blobs)].filter(({ name }) => name.includes("lopper"));
  assert.deepEqual(left, []);
});

hubTest("Ctrl-C ends a download from which nothing comes", async ({ hub, folder, env }) => {
  let isSilent = false;
  hub.misbehave(({ path, behave }) => {
    if (!isWeights(path)) return null;
    isSilent = true;
    return behave().then(halfOnly);
  });
  const process = startLopper(["prune", "org/m", "--out", "p"], folder, env);
  while (!isSilent) await new Promise((f) => setTimeout(f, 20));
  process.kill("SIGINT");
  const { code, stderr } = await process.output();
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 130, said);
  assert.match(said, /stopped; the same command goes on with the download$/m);
  await assert.rejects(Deno.stat(`${folder}/p`), Deno.errors.NotFound);
});

hubTest("two processes at the same time share one download", async ({ hub, alone }) => {
  const slow = async (answer: Promise<Response>) => {
    const { body, ...rest } = await answer;
    const slowly = new TransformStream<Uint8Array, Uint8Array>({
      async transform(part, controller) {
        for (let n = 0; n < part.byteLength; n += 20_000) {
          controller.enqueue(part.subarray(n, n + 20_000));
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      },
    });
    return new Response(body!.pipeThrough(slowly), rest);
  };
  hub.misbehave(({ path, behave }) => isWeights(path) ? slow(behave()) : null);
  const inspect = () => alone(["inspect", "org/m", "--digest", "--json"]);
  const [a, b] = await Promise.all([inspect(), inspect()]);
  assert.equal(a.out, b.out);
  assert.equal(hub.asked.filter(isWeights).length, 1);
});
