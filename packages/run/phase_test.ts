import type { StopSignal } from "@lopper/core";
import assert from "node:assert/strict";
import type { RunEvent } from "./events.ts";
import { phase } from "./phase.ts";

const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** All events, and what came of them. */
async function all<T>(events: AsyncGenerator<RunEvent, T>) {
  const told: RunEvent[] = [];
  let next = await events.next();
  for (; !next.done; next = await events.next()) told.push(next.value);
  return { told, result: next.value };
}

const step = (done: number): RunEvent => ({ type: "progress", phase: "recovery", done, total: 3 });

Deno.test("phase: what work tells comes in order, whether it waits in between or not, and the end last", async () => {
  for (const wait of [turn, () => Promise.resolve(), null]) {
    const { told, result } = await all(phase("recovery", undefined, async ({ progress }) => {
      for (const done of [1, 2, 3]) {
        progress(done, 3);
        await wait?.();
      }
      return "whole";
    }));
    assert.deepEqual(told, [step(1), step(2), step(3), { type: "finished", phase: "recovery" }]);
    assert.equal(result, "whole");
  }
});

Deno.test("phase: events are there while the work goes on", async () => {
  const gate = Promise.withResolvers<void>();
  const events = phase("recovery", undefined, async ({ progress }) => {
    await turn();
    progress(1, 3);
    await gate.promise;
  });
  assert.deepEqual((await events.next()).value, step(1));
  gate.resolve();
  assert.deepEqual((await all(events)).told, [{ type: "finished", phase: "recovery" }]);
});

Deno.test("phase: a failure comes after what was told before it, and no end", async () => {
  const told: RunEvent[] = [];
  await assert.rejects(async () => {
    const events = phase("recovery", undefined, async ({ progress }) => {
      progress(1, 3);
      await turn();
      throw new RangeError("broken");
    });
    for await (const event of events) told.push(event);
  }, RangeError);
  assert.deepEqual(told, [step(1)]);
});

Deno.test("phase: a signal ends work at the next thing that it tells, with what the signal throws", async () => {
  const reason = new Error("enough");
  const alike = (signal: AbortSignal): StopSignal => ({
    throwIfAborted: () => signal.throwIfAborted(),
  });
  for (const signalOf of [(signal: AbortSignal) => signal, alike]) {
    const controller = new AbortController();
    let done = 0;
    const events = phase("recovery", signalOf(controller.signal), async ({ progress }) => {
      while (done < 100) {
        if (done === 2) controller.abort(reason);
        progress(++done, 100);
        await turn();
      }
    });
    await assert.rejects(() => all(events), reason);
    assert.equal(done, 3);
  }
});

Deno.test("phase: work that nobody listens to any more has ended when the loop is left", async () => {
  let done = 0;
  let isRunning = true;
  const events = phase("recovery", undefined, async ({ progress }) => {
    try {
      while (done < 100) {
        progress(++done, 100);
        await turn();
      }
    } finally {
      isRunning = false;
    }
  });
  for await (const _ of events) break;
  assert.equal(isRunning, false);
  assert.ok(done < 100);
});
