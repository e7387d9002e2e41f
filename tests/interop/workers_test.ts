import assert from "node:assert/strict";
import { inTemporaryFolder } from "../support/cli.ts";
import {
  type Answers,
  ended,
  Fleet,
  type FleetWorker,
  type Found,
  pause,
} from "../support/fleet.ts";
import { CutProxy, HAS_REDIS, type RedisOptions, TestRedis } from "../support/redis.ts";

/** How often each fault is tried. */
const TIMES = Number(Deno.env.get("LOPPER_FAULTS") ?? 1);

/** What a fault is done to. */
interface Scene {
  readonly fleet: Fleet;
  readonly redis: TestRedis;
  /** The lines that the run has in its journal when nothing happens. */
  readonly lines: number;
  readonly alone: Found;
}

function test(
  name: string,
  options: RedisOptions & { readonly length?: "long" | "short" },
  run: (scene: Scene) => Promise<void>,
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
        await run({ fleet, redis, lines: alone.journal.length, alone });
      }),
  });
}

/** The run of this name decided what it decides alone, and found out each thing once. */
async function assertSame({ fleet, alone }: Scene, out: string) {
  const found = await fleet.found(out);
  assert.equal(found.plan, alone.plan, out);
  assert.equal(found.weights, alone.weights, out);
  assert.deepEqual(found.journal, alone.journal, out);
}

test("one, two and five decide what none decides", { length: "short" }, async (scene) => {
  const { fleet, redis } = scene;
  for (const [i, more] of [1, 1, 3].entries()) {
    for (let n = 0; n < more; n++) fleet.worker(redis.url);
    const out = `out-${i}`;
    await ended(fleet.run(out, redis.url));
    await assertSame(scene, out);
  }
});

test("with a password, which nobody is shown", { length: "short", password: "s3cret" }, async (
  scene,
) => {
  const { fleet, redis } = scene;
  const worker = fleet.worker(redis.url);
  const { code, stdout, stderr } = await fleet.run("out", redis.url).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, said);
  await assertSame(scene, "out");
  assert.ok(!(said + await worker.kill()).includes("s3cret"), said);
  const wrong = redis.url.replace("s3cret", "0ther");
  const refused = await fleet.run("refused", wrong).output();
  const alike = [new TextDecoder().decode(refused.stderr), await fleet.worker(wrong).said];
  for (const text of alike) {
    assert.match(text, /^lopper: Redis at redis:\/\/127\.0\.0\.1:\d+ refuses: WRONGPASS/m);
    assert.doesNotMatch(text, /0ther|fault in Lopper/);
  }
});

test("a worker with another model says so, and takes no work", { length: "short" }, async (
  scene,
) => {
  const { fleet, redis } = scene;
  const other = fleet.worker(redis.url, fleet.otherModel());
  const worker = fleet.worker(redis.url);
  await ended(fleet.run("out", redis.url));
  await assertSame(scene, "out");
  // So long a run may be silent before it counts as gone.
  await pause(25_000);
  assert.match(await other.kill("SIGTERM"), /a run is not taken: the run needs model sha256:\w+/);
  assert.match(await worker.kill("SIGTERM"), /needs no more work; [1-9]\d* jobs were done here/);
});

/**
 * Lets runs go on to a part of their journals, each to another one, and something happen there.
 */
function fault(
  name: string,
  { workers: count, ...options }: RedisOptions & { readonly workers: number },
  happen: (scene: Scene, workers: FleetWorker[]) => Promise<void>,
) {
  test(name, options, async (scene) => {
    const { fleet, redis, lines } = scene;
    const workers = Array.from({ length: count }, () => fleet.worker(redis.url));
    const all: Answers[] = [];
    for (let i = 0; i < TIMES; i++) {
      const out = `out-${i}`;
      const run = fleet.run(out, redis.url);
      await fleet.until(out, Math.floor(lines * (i + 1) / (TIMES + 2)));
      await happen(scene, workers);
      all.push(await ended(run));
      await assertSame(scene, out);
    }
    tell(name, all);
  });
}

function tell(name: string, all: readonly Answers[]) {
  const sum = (of: keyof Answers) => all.reduce((total, answers) => total + answers[of], 0);
  console.log(
    `${name}: ${all.length} times, same plan, weights and journal; ` +
      `${sum("heard")} answers counted, ${sum("ignored")} did not`,
  );
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

fault("all workers are stopped for a while", { workers: 2 }, async (_, workers) => {
  for (const worker of workers) worker.stop();
  await pause(15_000);
  for (const worker of workers) worker.goOn();
});

fault("Redis is killed, and comes back empty", { workers: 2 }, async ({ redis }) => {
  await redis.kill();
  await pause(2000);
  await redis.startAgain();
});

fault(
  "Redis is killed, and comes back with what it had",
  { workers: 2, persists: true },
  async ({ redis }) => {
    await redis.kill();
    await pause(2000);
    await redis.startAgain();
  },
);

for (const seconds of [1, 15]) {
  test(`the network of a worker is cut for ${seconds} s`, {}, async (scene) => {
    const { fleet, redis, lines } = scene;
    await using proxy = await CutProxy.open(redis.port);
    fleet.worker(`redis://127.0.0.1:${proxy.port}`);
    fleet.worker(redis.url);
    const all: Answers[] = [];
    for (let i = 0; i < TIMES; i++) {
      const out = `out-${i}`;
      const run = fleet.run(out, redis.url);
      await fleet.until(out, Math.floor(lines * (i + 1) / (TIMES + 2)));
      proxy.cut();
      await pause(1000 * seconds);
      proxy.mend();
      all.push(await ended(run));
      await assertSame(scene, out);
    }
    tell(`the network of a worker is cut for ${seconds} s`, all);
  });
}

test("the network of the only worker is cut, and it goes on pulling", {}, async (scene) => {
  const { fleet, redis, lines } = scene;
  await using proxy = await CutProxy.open(redis.port);
  fleet.worker(`redis://127.0.0.1:${proxy.port}`);
  const all: Answers[] = [];
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    const run = fleet.run(out, redis.url);
    for (const part of [1, 2, 3]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      proxy.cut();
      await pause(500);
      proxy.mend();
    }
    all.push(await ended(run));
    await assertSame(scene, out);
  }
  tell("the network of the only worker is cut three times", all);
});

test("connections of a worker and of the run say nothing any more", {}, async (scene) => {
  const { fleet, redis, lines } = scene;
  await using proxy = await CutProxy.open(redis.port);
  const url = `redis://127.0.0.1:${proxy.port}`;
  fleet.worker(url);
  const all: Answers[] = [];
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    const run = fleet.run(out, url);
    for (const part of [1, 2]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      proxy.forget();
    }
    all.push(await ended(run));
    await assertSame(scene, out);
  }
  tell("all connections say nothing any more, twice", all);
});

test("the network of the run is cut", {}, async (scene) => {
  const { fleet, redis, lines } = scene;
  await using proxy = await CutProxy.open(redis.port);
  for (let n = 0; n < 2; n++) fleet.worker(redis.url);
  const all: Answers[] = [];
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    const run = fleet.run(out, `redis://127.0.0.1:${proxy.port}`);
    for (const part of [1, 2]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      proxy.cut();
      await pause(part === 1 ? 500 : 15_000);
      proxy.mend();
    }
    all.push(await ended(run));
    await assertSame(scene, out);
  }
  tell("the network of the run is cut twice", all);
});

test("the run is killed, and goes on", {}, async (scene) => {
  const { fleet, redis, lines } = scene;
  for (let n = 0; n < 2; n++) fleet.worker(redis.url);
  const all: Answers[] = [];
  for (let i = 0; i < TIMES; i++) {
    const out = `out-${i}`;
    let run = fleet.run(out, redis.url);
    for (const part of [1, 2, 3]) {
      await fleet.until(out, Math.floor(lines * part / 4));
      run.kill("SIGKILL");
      await run.output();
      run = fleet.run(out, redis.url, "--resume");
    }
    all.push(await ended(run));
    await assertSame(scene, out);
  }
  tell("the run is killed three times, and goes on", all);
});
