import assert from "node:assert/strict";
import { inTemporaryFolder } from "../support/cli.ts";
import { ended, Fleet, type FleetWorker, type Found, pause } from "../support/fleet.ts";
import { CutProxy, HAS_REDIS, type RedisOptions, TestRedis } from "../support/redis.ts";

/** How often each fault is tried. */
const TIMES = Number(Deno.env.get("LOPPER_FAULTS") ?? 2);

/** What a fault is done to. */
interface Scene {
  readonly fleet: Fleet;
  readonly redis: TestRedis;
  /** The lines that the run has in its journal when nothing happens. */
  readonly lines: number;
}

function test(
  name: string,
  options: RedisOptions & { readonly length?: "long" | "short" },
  run: (scene: Scene, alone: Found) => Promise<void>,
) {
  Deno.test({
    name: `workers over Redis: ${name}`,
    ignore: !HAS_REDIS,
    // Pipes of processes that are killed.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () =>
      inTemporaryFolder(async (folder) => {
        await using fleet = await Fleet.of(folder, options.length ?? "long");
        await ended(fleet.run("alone", null));
        const alone = await fleet.found("alone");
        await using redis = await TestRedis.start(folder, options);
        await run({ fleet, redis, lines: alone.journal.length }, alone);
      }),
  });
}

function assertSame(found: Found, alone: Found, what: string) {
  assert.equal(found.plan, alone.plan, what);
  assert.equal(found.weights, alone.weights, what);
  assert.deepEqual(found.journal, alone.journal, what);
}

test("one, two and five decide what none decides", { length: "short" }, async (scene, alone) => {
  const { fleet, redis } = scene;
  for (const [i, more] of [1, 1, 3].entries()) {
    for (let n = 0; n < more; n++) fleet.worker(redis.url);
    await ended(fleet.run(`out-${i}`, redis.url));
    const found = await fleet.found(`out-${i}`);
    assertSame(found, alone, `${i}`);
    console.log(`${[1, 2, 5][i]} workers: ${found.blockTokens / alone.blockTokens} block-tokens`);
  }
});

test("with a password", { length: "short", password: "s3cret" }, async (scene, alone) => {
  const { fleet, redis } = scene;
  fleet.worker(redis.url);
  const { code, stdout, stderr } = await fleet.run("out", redis.url).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, said);
  assert.ok(!said.includes("s3cret"), said);
  assertSame(await fleet.found("out"), alone, "password");
});

/** Lets a run go on to a part of its journal, and something happen there, so many times. */
function fault(
  name: string,
  options: RedisOptions & { readonly workers: number },
  happen: (scene: Scene, workers: FleetWorker[]) => Promise<void>,
) {
  test(name, options, async (scene, alone) => {
    const { fleet, redis, lines } = scene;
    const workers = Array.from({ length: options.workers }, () => fleet.worker(redis.url));
    for (let i = 0; i < TIMES; i++) {
      const out = `out-${i}`;
      const run = fleet.run(out, redis.url);
      await fleet.until(out, Math.floor(lines * (i + 1) / (TIMES + 2)));
      await happen(scene, workers);
      await ended(run);
      assertSame(await fleet.found(out), alone, `${name}, ${i}`);
    }
    console.log(`${name}: ${TIMES} times, same plan, weights and journal`);
  });
}

fault("a worker is killed, and another one comes", { workers: 2 }, async (scene, workers) => {
  await workers.shift()!.kill();
  workers.push(scene.fleet.worker(scene.redis.url));
});

fault("all workers are killed, and others come", { workers: 2 }, async (scene, workers) => {
  for (const worker of workers.splice(0)) {
    await worker.kill();
    workers.push(scene.fleet.worker(scene.redis.url));
  }
});

fault(
  "a worker is stopped for longer than it is waited for",
  { workers: 2 },
  async (_, workers) => {
    workers[0].stop();
    await pause(25_000);
    workers[0].goOn();
  },
);

fault("Redis is killed, and comes back empty", { workers: 2 }, async ({ redis }) => {
  await redis.kill();
  await pause(2000);
  await redis.startAgain();
});

fault("Redis is killed, and comes back with what it had", { workers: 2, persists: true }, async (
  { redis },
) => {
  await redis.kill();
  await pause(2000);
  await redis.startAgain();
});

for (const long of [1000, 15_000]) {
  test(`the network of a worker is cut for ${long / 1000} s`, {}, async (scene, alone) => {
    const { fleet, redis, lines } = scene;
    await using proxy = await CutProxy.open(redis.port);
    fleet.worker(`redis://127.0.0.1:${proxy.port}`);
    fleet.worker(redis.url);
    for (let i = 0; i < TIMES; i++) {
      const out = `out-${i}`;
      const run = fleet.run(out, redis.url);
      await fleet.until(out, Math.floor(lines * (i + 1) / (TIMES + 2)));
      proxy.cut();
      await pause(long);
      proxy.mend();
      await ended(run);
      assertSame(await fleet.found(out), alone, `${i}`);
    }
  });
}

test("the network of the run is cut", {}, async ({ fleet, redis, lines }, alone) => {
  await using proxy = await CutProxy.open(redis.port);
  for (let n = 0; n < 2; n++) fleet.worker(redis.url);
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    const run = fleet.run(out, `redis://127.0.0.1:${proxy.port}`);
    for (const part of [1, 2]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      proxy.cut();
      await pause(part === 1 ? 500 : 15_000);
      proxy.mend();
    }
    await ended(run);
    assertSame(await fleet.found(out), alone, `${i}`);
  }
});

test("the run is killed, and goes on", {}, async ({ fleet, redis, lines }, alone) => {
  for (let n = 0; n < 2; n++) fleet.worker(redis.url);
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    let run = fleet.run(out, redis.url);
    for (const part of [1, 2, 3]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      run.kill("SIGKILL");
      await run.output();
      run = fleet.run(out, redis.url, "--resume");
    }
    await ended(run);
    assertSame(await fleet.found(out), alone, `${i}`);
  }
});

test("a worker with another model says so, and takes no work", { length: "short" }, async (
  { fleet, redis },
  alone,
) => {
  const other = fleet.worker(redis.url, fleet.otherModel());
  const worker = fleet.worker(redis.url);
  await ended(fleet.run("out", redis.url));
  assertSame(await fleet.found("out"), alone, "another model");
  // So long a run may be silent before it counts as gone.
  await pause(25_000);
  assert.match(await other.kill("SIGTERM"), /a run is not taken: the run needs model sha256:\w+/);
  assert.match(await worker.kill("SIGTERM"), /needs no more work; [1-9]\d* jobs were done here/);
});
