import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, QUICK, startLopper } from "./support/cli.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`interruption: ${name}`, () => inTemporaryFolder(body));

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

/** Waits for the first sign of work, then sends a signal, and a second one when the first was heard. */
async function stoppedTwice(process: Deno.ChildProcess, sign: string, signal: Deno.Signal) {
  const out = await heard(process.stdout, sign);
  process.kill(signal);
  const error = await heard(process.stderr, "once more, and it ends at once");
  try {
    process.kill(signal);
  } catch (error) {
    // It was faster than this test.
    if (!(error instanceof TypeError)) throw error;
  }
  const { code } = await process.status;
  await Promise.all([out.rest, error.rest]);
  return code;
}

test("a second Ctrl-C ends a program that hears nothing", async (folder) => {
  const busy = fileURLToPath(new URL("../apps/cli/testing/busy.ts", import.meta.url));
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--cached-only", "--allow-read", busy],
      cwd: folder,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    assert.equal(await stoppedTwice(process, "busy", signal), code);
  }
});

test("a second Ctrl-C ends every command that works for long", async (folder) => {
  const calls: [sign: string, args: readonly string[]][] = [
    ["The sea", ["generate", "demo", "The sea", "--max-tokens", "900"]],
    ["progress", ["prune", "--json", "--out", "p", ...QUICK]],
    ["progress", ["evaluate", "demo", "--json", "--perplexity", HELD_OUT]],
  ];
  for (const [sign, args] of calls) {
    const code = await stoppedTwice(startLopper(args, folder), sign, "SIGINT");
    assert.equal(code, 130, args[0]);
  }
});

const HELD_OUT = fileURLToPath(
  new URL("../packages/demo-model/data/held_out.txt", import.meta.url),
);

test("the first Ctrl-C or SIGTERM is answered with a sentence, and leaves nothing half-written", async (folder) => {
  const generating = startLopper(["generate", "demo", "The sea", "--max-tokens", "900"], folder);
  const stderr = new Response(generating.stderr).text();
  const { rest } = await heard(generating.stdout, "The sea");
  generating.kill("SIGTERM");
  assert.equal((await generating.status).code, 130);
  assert.match(await stderr, /stopping .*\nstopped\n$/);
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
