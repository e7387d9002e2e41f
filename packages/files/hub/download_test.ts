import { HubError, WriteError } from "@lopper/core";
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { listFilesDeep } from "../list_files.ts";
import { LockFile } from "../lock_file.ts";
import { bytesOf, hubTest, type TestHub } from "../testing/with_hub.ts";
import { cutAfter } from "../testing/misbehaviours.ts";
import { sha256Of } from "../testing/mock_repository.ts";
import { HubClient } from "./client.ts";
import { revisionOn } from "./revision.ts";
import { downloadFiles } from "./snapshot.ts";

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
const MAIN = { "config.json": bytesOf("{}"), "model.safetensors": WEIGHTS };
const MODEL = { models: { "org/m": { branches: { main: MAIN } } } };
const SHA = sha256Of(WEIGHTS);

/** Downloads both files of the model, or those that are named. */
async function download(hub: TestHub, paths = Object.keys(MAIN), onBytes = (_: number) => {}) {
  const client = new HubClient(hub);
  const revision = await revisionOn(client, { type: "model", name: "org/m" }, "main");
  return await downloadFiles(client, revision, paths, onBytes);
}

/** It fails with one sentence, and no name leads to what came. */
async function fails(hub: TestHub, message: RegExp) {
  await assert.rejects(download(hub), (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
  const names = await listFilesDeep(hub.cache);
  assert.deepEqual(names.filter((name) => name.includes("snapshots") || name.endsWith(SHA)), []);
}

const isWeights = (path: string) => path.endsWith("model.safetensors") && !path.includes("resolve");
const partialOf = (hub: TestHub) =>
  join(hub.cache, "models--org--m", "blobs", `${SHA}.lopper-partial`);

hubTest("a file is a blob with a link to it, and is downloaded once", MODEL, async (hub, mock) => {
  const folder = await download(hub);
  const link = await Deno.readLink(join(folder, "model.safetensors"));
  assert.equal(link, join("..", "..", "blobs", SHA));
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
  const blobs = await listFilesDeep(join(folder, "..", "..", "blobs"));
  assert.deepEqual(blobs, [SHA, "9e26dfeeb6e641a33dae4961196235bdb965b21b"].sort());
  const before = mock.asked.length;
  const ref = join(folder, "..", "..", "refs", "main");
  const { ino } = await Deno.stat(ref);
  await download(hub);
  assert.ok(mock.asked.slice(before).every((path) => path.startsWith("/api/")), "only lists");
  assert.equal((await Deno.stat(ref)).ino, ino, "nothing is written");
});

hubTest(
  "files without blobs, as systems without links have them, count",
  MODEL,
  async (hub, mock) => {
    const folder = await download(hub);
    for (const [name, bytes] of Object.entries(MAIN)) {
      await Deno.remove(join(folder, name));
      await Deno.writeFile(join(folder, name), bytes);
    }
    await Deno.remove(join(folder, "..", "..", "blobs"), { recursive: true });
    const before = mock.asked.length;
    assert.equal(await download(hub), folder);
    assert.ok(mock.asked.slice(before).every((path) => path.startsWith("/api/")), "only lists");
  },
);

hubTest("the first of the files appears when all others have", MODEL, async (hub) => {
  const commit = await revisionOn(new HubClient(hub), { type: "model", name: "org/m" }, "main");
  const folder = join(hub.cache, "models--org--m", "snapshots", commit.commit);
  await Deno.mkdir(join(folder, "model.safetensors", "x"), { recursive: true });
  await assert.rejects(download(hub), WriteError);
  assert.deepEqual(await listFilesDeep(folder), []);
});

hubTest("a connection that breaks is taken up where it broke", MODEL, async (hub, mock) => {
  const ranges: (string | null)[] = [];
  mock.misbehave(({ request, path, times, behave }) => {
    if (!isWeights(path)) return null;
    ranges.push(request.headers.get("range"));
    return times <= 2 ? behave().then((response) => cutAfter(response, 100_000)) : null;
  });
  const seen: number[] = [];
  const folder = await download(hub, undefined, (done) => seen.push(done));
  assert.deepEqual(ranges.length, 3, ranges.join());
  assert.equal(ranges[0], null);
  for (const range of ranges.slice(1)) assert.match(range!, /^bytes=[1-9]\d*-$/);
  assert.deepEqual(seen, seen.toSorted((a, b) => a - b), "never backwards");
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
});

hubTest("what a process that ended left is gone on with", MODEL, async (hub, mock) => {
  const stop = (done: number) => {
    if (done > 20_000) throw new Error("stopped");
  };
  await assert.rejects(download(hub, undefined, stop), /stopped/);
  const { size } = await Deno.stat(partialOf(hub));
  assert.ok(size > 20_000 && size < WEIGHTS.byteLength, `${size}`);
  const ranges: (string | null)[] = [];
  mock.misbehave(({ request, path }) => {
    if (isWeights(path)) ranges.push(request.headers.get("range"));
    return null;
  });
  await download(hub);
  assert.deepEqual(ranges, [`bytes=${size}-`]);
});

hubTest("what was damaged meanwhile is downloaded anew", MODEL, async (hub) => {
  await Deno.mkdir(dirname(partialOf(hub)), { recursive: true });
  await Deno.writeFile(partialOf(hub), new Uint8Array(1000).fill(9));
  const folder = await download(hub);
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
});

hubTest("a server without ranges begins from the start", MODEL, async (hub, mock) => {
  mock.misbehave(({ path, times, behave }) => {
    if (!isWeights(path)) return null;
    const whole = () => new Response(WEIGHTS.slice());
    return times === 1 ? behave().then((response) => cutAfter(response, 50_000)) : whole();
  });
  const folder = await download(hub);
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
});

hubTest("a connection that never gets further is given up", MODEL, async (hub, mock) => {
  mock.misbehave(({ path, times, behave }) => {
    if (!isWeights(path)) return null;
    return behave().then((response) => cutAfter(response, times === 1 ? 1000 : 0));
  });
  await fails(hub, /model\.safetensors, was looked for .*\d+ of 300,000 bytes came, and then /);
  assert.equal(mock.asked.filter(isWeights).length, 1 + 5);
});

hubTest("a connection that gets further each time is not given up", MODEL, async (hub, mock) => {
  mock.misbehave(({ path, behave }) => {
    if (!isWeights(path)) return null;
    return behave().then((response) => cutAfter(response, 40_000));
  });
  const folder = await download(hub);
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
});

hubTest("silence counts as a cut", MODEL, async (hub, mock) => {
  mock.misbehave(({ path, times, behave }) => {
    if (!isWeights(path) || times > 1) return null;
    return behave().then((response) => {
      const first = new ReadableStream({
        async start(controller) {
          controller.enqueue((await response.bytes()).subarray(0, 10_000));
        },
      });
      return new Response(first);
    });
  });
  const folder = await download({ ...hub, silence: 300 });
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
});

hubTest("other bytes than were listed are not kept", MODEL, async (hub, mock) => {
  mock.misbehave(({ path }) => isWeights(path) ? new Response(WEIGHTS.map((b) => b ^ 1)) : null);
  await fails(hub, /it lists the digest [0-9a-f]{64} and gives [0-9a-f]{64}; nothing of that/);
  assert.equal(mock.asked.filter(isWeights).length, 1, "nothing old may have been damaged");
  assert.equal((await Deno.stat(partialOf(hub)).catch(() => ({ size: 0 }))).size, 0);
});

for (const [what, length] of [["less", 299_999], ["more", 300_001]] as const) {
  hubTest(`${what} bytes than were listed are not taken`, MODEL, async (hub, mock) => {
    mock.misbehave(({ path }) => isWeights(path) ? new Response(new Uint8Array(length)) : null);
    await fails(hub, new RegExp(`it lists 300,000 bytes and gives ${length}`));
  });
}

hubTest(
  "more bytes than were listed, without a length, are not taken",
  MODEL,
  async (hub, mock) => {
    const endless = () =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(100_000)) });
    mock.misbehave(({ path }) => isWeights(path) ? new Response(endless()) : null);
    await fails(hub, /it lists 300,000 bytes and gives more/);
  },
);

hubTest("a list that is cut off, or stops, is asked for anew", MODEL, async (hub, mock) => {
  const stalled = () =>
    new ReadableStream({ start: (controller) => controller.enqueue(bytesOf('[{"type"')) });
  mock.misbehave(({ path, times, behave }) => {
    if (path.includes("/revision/") && times === 1) return new Response(stalled());
    if (path.includes("/tree/") && times === 1) return behave().then((list) => cutAfter(list, 9));
    return null;
  });
  await download({ ...hub, silence: 300 });
  assert.deepEqual(hub.pauses, [1000, 1000]);
});

hubTest("whoever is not waited for any more ends at once", MODEL, async (hub, mock) => {
  const silent = new ReadableStream({
    start: (controller) => controller.enqueue(WEIGHTS.subarray(0, 10_000)),
  });
  mock.misbehave(({ path }) => isWeights(path) ? new Response(silent) : null);
  const stop = new AbortController();
  const stoppable = { ...hub, signal: stop.signal, silence: 2 ** 30 };
  const onBytes = (done: number) => done > 5000 && stop.abort();
  await assert.rejects(download(stoppable, undefined, onBytes), { name: "AbortError" });
  assert.ok((await Deno.stat(partialOf(hub))).size > 5000, "what came stays");
  await assert.rejects(download(stoppable), { name: "AbortError" });
});

hubTest("nor does one that waits for another process go on", MODEL, async (hub) => {
  const blob = partialOf(hub).replace(/partial$/, "lock");
  await Deno.mkdir(dirname(blob), { recursive: true });
  const lock = LockFile.take(blob, "another");
  assert.ok(lock instanceof LockFile);
  try {
    const stop = new AbortController();
    const wait = () => Promise.resolve(stop.abort());
    await assert.rejects(download({ ...hub, wait, signal: stop.signal }), { name: "AbortError" });
  } finally {
    lock.release();
  }
});

hubTest("a busy hub is asked again when it says", MODEL, async (hub, mock) => {
  const busy = (status: number, headers: HeadersInit) => new Response(null, { status, headers });
  mock.misbehave(({ path, times }) => {
    if (path.includes("revision") && times === 1) return busy(429, { "retry-after": "7" });
    if (path.includes("tree") && times === 1) return busy(429, { ratelimit: '"api";r=0;t=11' });
    if (isWeights(path) && times < 3) return busy(503, {});
    return null;
  });
  await download(hub);
  assert.deepEqual(hub.pauses, [7000, 11_000, 1000, 2000]);
});

for (
  const [status, headers, times, message] of [
    [503, {}, 5, /it answers 503, 5 times in a row/],
    [429, {}, 5, /it was asked too often \(429\); run the same command again later/],
    [429, { "retry-after": "3600" }, 1, /\(429\); run the same command again in 1 h 00 min/],
    [418, {}, 1, /it answers 418$/],
  ] as const
) {
  hubTest(`${status} ${JSON.stringify(headers)} ends in a sentence`, MODEL, async (hub, mock) => {
    mock.misbehave(({ path }) => isWeights(path) ? new Response(null, { status, headers }) : null);
    await fails(hub, message);
    assert.equal(mock.asked.filter(isWeights).length, times);
  });
}

hubTest("a branch that moves meanwhile changes nothing", MODEL, async (hub, mock) => {
  const repository = mock.repositories.get("models/org/m")!;
  const old = repository.branches.get("main")!;
  mock.misbehave(({ path }) => {
    const moved = { "config.json": bytesOf("[]"), "model.safetensors": new Uint8Array(5) };
    if (path.includes("/tree/")) repository.commit("main", moved);
    return null;
  });
  const folder = await download(hub);
  assert.ok(folder.endsWith(old));
  assert.deepEqual(await Deno.readFile(join(folder, "model.safetensors")), WEIGHTS);
  assert.equal(await Deno.readTextFile(join(folder, "config.json")), "{}");
});

hubTest("two at the same time share one download", MODEL, async (hub, mock) => {
  const folders = await Promise.all([download(hub), download(hub)]);
  assert.equal(folders[0], folders[1]);
  assert.equal(mock.asked.filter(isWeights).length, 1);
  const names = await listFilesDeep(hub.cache);
  assert.deepEqual(names.filter((name) => name.includes("lopper-")), [], "nothing is left");
});

const SECRET = { models: { "org/m": { branches: { main: MAIN }, token: "hf_me" } } };
hubTest("the token goes to the hub, and to no other host", SECRET, async (hub, mock) => {
  await fails(hub, /refuses that \(401\); HF_TOKEN may hold what opens it$/);
  await fails({ ...hub, token: "hf_you" }, /the token of HF_TOKEN does not open it$/);
  // The storage answers 400 to whoever shows one.
  await download({ ...hub, token: "hf_me" });
  assert.ok(mock.asked.some(isWeights));
});

hubTest(
  "a list whose next page is elsewhere is asked for it without the token",
  SECRET,
  async (hub, mock) => {
    await using other = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      assert.equal(request.headers.get("authorization"), null);
      return Response.json([]);
    });
    mock.misbehave(({ path }) => {
      if (!path.includes("/tree/")) return null;
      const link = `<http://127.0.0.1:${other.addr.port}/>; rel="next"`;
      return Response.json([], { headers: { link } });
    });
    await download({ ...hub, token: "hf_me" }, []);
  },
);

const PATHS = ["../x", "a/../../x", "/etc/passwd", "a//b", "a\\b", "C:/x", "d:x", "a/./b", ""];
for (const path of PATHS) {
  const listed = { models: { "org/m": { branches: { main: { ...MAIN, [path]: bytesOf("x") } } } } };
  hubTest(`a list with ${JSON.stringify(path)} is refused`, listed, async (hub) => {
    await fails(hub, /it lists ".*", which leads out of its folder; nothing is downloaded$/);
    assert.deepEqual(await listFilesDeep(hub.cache), []);
  });
}

const refuses = (name: string, answer: () => Response, message: RegExp) =>
  hubTest(`${name} is said`, MODEL, async (hub, mock) => {
    mock.misbehave(answer);
    await fails(hub, message);
  });
const withCode = (status: number, code: string) => () =>
  Response.json({}, { status, headers: { "x-error-code": code } });
refuses(
  "that there is no such model",
  withCode(404, "RepoNotFound"),
  /nothing of that name \(404\)/,
);
refuses(
  "that there may be one",
  withCode(401, "RepoNotFound"),
  /\(401\), or not for everyone; HF_T/,
);
refuses(
  "that there is no such revision",
  withCode(404, "RevisionNotFound"),
  /org\/m@main was .* no such branch, tag or commit \(404\)/,
);
refuses(
  "that terms are to be accepted",
  withCode(403, "GatedRepo"),
  /accepted its terms \(403\); accept them on http\S+\/org\/m and let HF_TOKEN hold a token/,
);
refuses(
  "what the hub says besides",
  () => Response.json({}, { status: 400, headers: { "x-error-message": "no such thing" } }),
  /it answers 400 \(no such thing\)$/,
);
refuses(
  "that a login page answers",
  () => new Response("<html>"),
  /what answers there is no hub \(.*HF_ENDPOINT/,
);
refuses("that something else answers", () => Response.json(null), /what answers there is no hub/);
refuses(
  "that a commit is none",
  () => Response.json({ sha: "../../x" }),
  /that this is the commit "/,
);

hubTest("a file that is gone is named", MODEL, async (hub, mock) => {
  mock.misbehave(({ path }) =>
    path.includes("/resolve/") ? withCode(404, "EntryNotFound")() : null
  );
  await fails(hub, /org\/m@main, \S+, was looked for on http.* it has no such file \(404\)$/);
});

Deno.test("hub: who has no network is told so at once, and why", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  listener.close();
  const endpoint = `http://127.0.0.1:${listener.addr.port}`;
  const hub = { endpoint, token: null, cache: "/nowhere", pauses: [] };
  await fails(
    { ...hub, wait: () => assert.fail("it waits") },
    /127\.0\.0\.1:\d+: it cannot be reached \((?!error sending).*refused.*\)$/i,
  );
});
