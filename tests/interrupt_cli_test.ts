import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, QUICK, startLopper } from "./support/cli.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`interruption: ${name}`, () => inTemporaryFolder(body));

const BUSY = fileURLToPath(new URL("../apps/cli/shared/testing/busy.ts", import.meta.url));

/** Starts a program that computes and hears nothing. */
function startBusy(cwd: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "--allow-read", BUSY],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Reads on until `sign` was said; the rest is read away, so that nobody waits for a reader. */
async function heard(stream: ReadableStream<Uint8Array<ArrayBuffer>>, sign: string) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes(sign)) {
    const { done, value } = await reader.read();
    assert.ok(!done, `it ended without ${JSON.stringify(sign)}: ${said}`);
    said += value;
  }
  const rest = (async () => {
    while (!(await reader.read()).done);
  })();
  return { rest };
}

/** Waits for the first sign of work, then presses until it ends. */
async function stopped(process: Deno.ChildProcess, sign: string, signal: Deno.Signal) {
  const error = new Response(process.stderr).text();
  const { rest } = await heard(process.stdout, sign);
  process.kill(signal);
  const again = setInterval(() => {
    try {
      process.kill(signal);
    } catch { /* it has ended */ }
  }, 300);
  const { code } = await process.status;
  clearInterval(again);
  await rest;
  return { code, said: await error };
}

test("a second Ctrl-C ends a program that hears nothing", async (folder) => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const end = await stopped(startBusy(folder), "busy", signal);
    assert.equal(end.code, code);
    assert.match(end.said, /once more, and it ends at once\n$/);
  }
});

test("every command that works for long is stopped by Ctrl-C", async (folder) => {
  const calls: [sign: string, args: readonly string[]][] = [
    ["The sea", ["generate", "demo", "The sea", "--max-tokens", "900"]],
    ["progress", ["prune", "--json", "--out", "p", ...QUICK]],
    ["progress", ["evaluate", "demo", "--json", "--perplexity", HELD_OUT]],
  ];
  for (const [sign, args] of calls) {
    const { code, said } = await stopped(startLopper(args, folder), sign, "SIGINT");
    assert.equal(code, 130, `${args[0]}: ${said}`);
  }
});

const HELD_OUT = fileURLToPath(
  new URL("../packages/demo-model/data/held_out.txt", import.meta.url),
);

test("what a terminal and a task runner both send is one Ctrl-C", async (folder) => {
  const busy = startBusy(folder);
  const { rest } = await heard(busy.stdout, "busy");
  busy.kill("SIGINT");
  const heardOf = heard(busy.stderr, "once more");
  // One after the other, as two programs send them.
  await new Promise((resolve) => setTimeout(resolve, 20));
  busy.kill("SIGINT");
  const error = await heardOf;
  busy.kill("SIGKILL");
  assert.equal((await busy.status).code, 128 + 9, "it went on until now");
  await Promise.all([rest, error.rest]);
});

test("the first Ctrl-C or SIGTERM is answered with a sentence, and leaves nothing half-written", async (folder) => {
  const generating = startLopper(["generate", "demo", "The sea", "--max-tokens", "900"], folder);
  const stderr = new Response(generating.stderr).text();
  const { rest } = await heard(generating.stdout, "The sea");
  generating.kill("SIGTERM");
  assert.equal((await generating.status).code, 130);
  assert.match(await stderr, /\nstopped\n$/);
  await rest;

  const exporting = startLopper(["export", "demo", "--to", "onnx", "--out", "x"], folder);
  const output = exporting.output();
  while ([...Deno.readDirSync(folder)].length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  exporting.kill("SIGINT");
  const { code, stderr: told } = await output;
  assert.equal(code, 130);
  assert.match(new TextDecoder().decode(told), /stopped; nothing is written\n$/);
  assert.deepEqual([...Deno.readDirSync(folder)], []);
});
