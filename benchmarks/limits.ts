/**
 * What a machine can do for a model that stays in its file: GB a second from the disk, one MLP
 * block's multiply-accumulates while its weights are in memory, by tokens at a time, and what it
 * takes to have such a block there: read from what the system has at hand, laid out, expanded.
 * Prints JSON.
 *
 * Usage: deno run -A benchmarks/limits.ts MODEL [--tokens 32,128,2048]
 */
import { openBackend } from "@lopper/backends";
import { denseShape, parametersOfBlock, sizeOf } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The best of so many, or of this time, counts: others may compute meanwhile. */
const ROUNDS = 20, SECONDS = 10;
/** Read from the disk: the last of a file, which is the least likely to be in memory. */
const DISK = { blocks: 128, bytes: 16 * 2 ** 20 };

const { values: flags, positionals: [folder, ...rest] } = parseArgs({
  args: Deno.args,
  options: { tokens: { type: "string", default: "32,128,2048" } },
  allowPositionals: true,
});
if (!folder || rest.length > 0) {
  console.error("usage: limits.ts MODEL [--tokens N,…]");
  Deno.exit(2);
}

/** GB a second, past what the system has in memory. */
async function diskSpeed(file: string): Promise<number> {
  const { size } = await Deno.stat(file);
  const skip = Math.floor(size / DISK.bytes) - DISK.blocks;
  const started = performance.now();
  const args = [`if=${file}`, "of=/dev/null", "iflag=direct", `bs=${DISK.bytes}`];
  const { success } = await new Deno.Command("dd", {
    args: [...args, `skip=${skip}`, `count=${DISK.blocks}`],
    stderr: "null",
  }).output();
  if (!success) throw new Error(`dd cannot read ${file} directly`);
  return DISK.blocks * DISK.bytes / 1e6 / (performance.now() - started);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function rounds(work: () => Promise<number>): Promise<readonly number[]> {
  const found: number[] = [];
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    found.push(await work());
    if (performance.now() - started > 1000 * SECONDS) break;
  }
  return found;
}

using model = await openModel(new FileFolder(folder));
const { backend } = await openBackend("cpu", {});
const weights = await LaidOutWeights.load(model, { blockBytes: 0, expandedBytes: 0 });
await using decoder = new Decoder(backend, weights);
const { blocks } = decoder;
const number = blocks.findIndex(({ kind }) => kind === "mlp");
const size = sizeOf(blocks[number]);
const shape = denseShape(blocks);
const flop = 2 * parametersOfBlock(blocks[number], size, { norms: false });
const gflops: Record<string, number> = {};
for (const tokens of flags.tokens.split(",").map(Number)) {
  const input = await decoder.embed([Array.from({ length: tokens }, (_, i) => i)]);
  await decoder.runBlock(number, shape, input);
  const run = () => seconds(() => decoder.runBlock(number, shape, input));
  gflops[tokens] = flop * tokens / 1e9 / Math.min(...await rounds(run));
}
const blockSeconds = Math.min(
  ...await rounds(async () => {
    // Another one is there meanwhile.
    await weights.block(number + 2, size);
    return await seconds(() => weights.block(number, size));
  }),
);
console.log(JSON.stringify({
  diskGigabytesPerSecond: Math.max(
    ...await rounds(() => diskSpeed(join(folder, "model.safetensors"))),
  ),
  gflops,
  blockSeconds,
}));
await backend[Symbol.asyncDispose]();
