import { Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { denseShape, type Shape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import type { CalibrationSet, TextCriterion } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights, Workspace } from "@lopper/runtime";
import type { BlockRefit, RecoveryLine } from "@lopper/search";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type CourseResult, type RecoveryEvent, refitBlocks } from "./course.ts";
import { type Projections, stored } from "./projections.ts";
import { stopsOf } from "./stops.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));
const LENGTH = 9;
const STEPS = 3;

function text(first: number, count: number, vocabSize: number): CalibrationSet {
  const sequences = Array.from(
    { length: count },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (first + 7 * s * s + 13 * i) % vocabSize),
  );
  return { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
}

/** A loss that is another each time that it is asked for, whatever the model says. */
function losing(next: () => number): TextCriterion {
  return {
    name: "made up",
    is: "made up",
    note: null,
    needs: "text",
    loss: () => Promise.resolve(new Float32Array(4 * LENGTH).fill(next())),
  };
}

/** Losses that only fall, or only rise. */
function moving(by: number) {
  let loss = 100;
  return losing(() => loss += by);
}

interface Outcome {
  readonly events: readonly RecoveryEvent[];
  readonly result: CourseResult;
  /** The output projections of the blocks that are left, after the course. */
  readonly weights: ReadonlyMap<number, Float32Array>;
  readonly shape: Shape;
  readonly decoder: Decoder;
}

/** Goes through a tiny model of which a block is gone, and the others are narrower. */
async function course(
  criterion: TextCriterion,
  recorded: readonly RecoveryLine[] = [],
  from: Projections = new Map(),
) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const products = new Products(backend);
  const model = await openModel(new FileFolder(FOLDER));
  const { vocabSize } = model.architecture;
  const decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const whole = denseShape(decoder.blocks);
  const narrower = (block: number, channels: number) => ({
    channels: whole[block]!.channels - channels,
  });
  const shape = whole.with(0, { kvGroups: 1 }).with(1, narrower(1, 4)).with(2, null)
    .with(3, narrower(3, 7));
  const generator = refitBlocks(
    { decoder, shape, dtypeOf: () => "F32" },
    {
      // A part of what is learnt from, so that fits are good there, too.
      calibration: text(1, 12, vocabSize),
      validation: text(1, 4, vocabSize),
      test: text(8, 4, vocabSize),
      batchTokens: 4 * LENGTH,
    },
    {
      ...{ way: "auto", steps: STEPS, criterion, recorded },
      measure: () => ({ blockTokens: 0, seconds: 0 }),
    },
    { products, from },
  );
  const events: RecoveryEvent[] = [];
  let event = await generator.next();
  for (; !event.done; event = await generator.next()) events.push(event.value);
  const weights = new Map<number, Float32Array>();
  for (const [block, size] of shape.entries()) {
    if (size) weights.set(block, (await decoder.weights.output(block, size)).data.slice());
  }
  const outcome: Outcome = { events, result: event.value, weights, shape, decoder };
  await decoder.dispose();
  await backend[Symbol.asyncDispose]();
  model[Symbol.dispose]();
  return outcome;
}

const linesOf = ({ events }: Outcome) => events.map(({ line }) => line as BlockRefit);

function courseTest(name: string, fn: () => Promise<void>) {
  Deno.test({ name: `course: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

courseTest("what raises the loss is taken back, and no weight is another than before", async () => {
  const { events, result, weights, decoder, shape } = await course(moving(1));
  const stops = stopsOf(decoder.blocks, shape).filter(({ refit }) => refit);
  assert.ok(stops.length > 1);
  assert.deepEqual(result, { refitted: [], tried: stops.length });
  assert.ok(events.every(({ line, resumed }) => !resumed && !(line as BlockRefit).kept));
  const untouched = await course(moving(1), [{
    type: "recovery",
    steps: STEPS,
    before: [1],
    after: [2],
    kept: false,
    cost: { blockTokens: 0, seconds: 0 },
  }]);
  assert.deepEqual(untouched.events, [], "where a test is known, nothing new is tried");
  assert.deepEqual(weights, untouched.weights);
});

courseTest("what lowers the loss stays, and is where the next one begins", async () => {
  const kept = await course(moving(-1));
  const lines = linesOf(kept);
  const { refitted, tried } = kept.result;
  assert.ok(tried > 1, String(tried));
  assert.equal(refitted.length, tried);
  assert.deepEqual(lines.map(({ folded }) => folded > 0).filter(Boolean), [true]);
  assert.ok(lines.every((line) => line.kept && line.steps === STEPS));
  lines.slice(1).forEach(({ before }, i) => assert.deepEqual(before, lines[i].after));
  const before = await course(moving(1));
  for (const block of refitted) {
    assert.notDeepEqual(kept.weights.get(block), before.weights.get(block));
  }
});

courseTest("where a block begins with other rows, the dense model still has its own", async () => {
  const own = await course(moving(-1));
  const first = own.weights.get(0)!;
  const zeros = await stored(new Workspace(), "F32", new Float32Array(first.length));
  const nothing: Projections = new Map([[0, zeros]]);
  const left = await course(moving(1), [], nothing);
  assert.ok(left.weights.get(0)!.every((value) => value === 0), "what is dropped leaves them");
  const found = (await course(moving(-1), [], nothing)).weights.get(0)!;
  const norm = (values: Float32Array) => Math.hypot(...values);
  const apart = norm(found.map((value, i) => value - first[i])) / norm(first);
  assert.ok(apart < 0.5, `fitted to another model: ${apart}`);
});

courseTest(
  "what an earlier run wrote down is believed, and done again to the same bits",
  async () => {
    const first = await course(moving(-1));
    const lines = linesOf(first);
    const unasked = losing(() => assert.fail("a loss that is known is not measured"));
    const resumed = await course(unasked, lines);
    assert.deepEqual(resumed.events, lines.map((line) => ({ line, resumed: true })));
    assert.deepEqual(resumed.result, first.result);
    assert.deepEqual(resumed.weights, first.weights);
    // Cut off after the first: the loss goes on from what is known.
    let loss = lines[0].after[0];
    const partly = await course(losing(() => loss -= 1), lines.slice(0, 1));
    assert.deepEqual(linesOf(partly).map(({ before, after }) => [before, after]), [
      ...lines.map(({ before, after }) => [before, after]),
    ]);
    assert.deepEqual(partly.weights, first.weights);
  },
);

courseTest("what was found out after other steps says nothing", async () => {
  const first = await course(moving(-1));
  const others = linesOf(first).map((line) => ({ ...line, steps: STEPS + 1 }));
  const again = await course(moving(-1), others);
  assert.deepEqual(again.events, first.events);
});
