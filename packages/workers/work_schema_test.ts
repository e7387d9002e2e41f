import { type BlockSize, denseShape } from "@lopper/core";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { sizesBetween, withSizes } from "./sizes.ts";
import { type Job, nameOf, readWork, WorkError, workText } from "./work_schema.ts";

const RUN = `sha256:${"0".repeat(64)}`;
const JOB: Job = {
  ...{ run: RUN, task: "score", set: "block", batch: 0, ranking: null },
  base: [[1, null]],
  candidates: [null, { first: 0, sizes: [[0, { channels: 3 }]] }],
};

Deno.test("work: what is written is read again, with words for what is no number in JSON", () => {
  assert.deepEqual(readWork("job", workText(JOB)), JOB);
  const answer = { job: RUN, values: [[0.1, NaN, Infinity, -Infinity]], blockTokens: 1 };
  assert.deepEqual(readWork("answer", workText(answer)), answer);
});

Deno.test("work: the same job has the same name, another one another", async () => {
  assert.equal(await nameOf(workText(JOB)), await nameOf(workText({ ...JOB })));
  assert.notEqual(await nameOf(workText(JOB)), await nameOf(workText({ ...JOB, batch: 1 })));
});

Deno.test("work: whatever else a queue has is refused by a sentence", () => {
  const refused = (form: "job" | "answer" | "setup" | "ranking", text: string) =>
    assert.throws(() => readWork(form, text), (error) => {
      assert.ok(error instanceof WorkError, String(error));
      assert.match(error.message, /^the queue has something that is no \w+ of Lopper: .+/);
      return true;
    });
  refused("job", "");
  refused("job", workText({ ...JOB, batch: -1 }));
  refused("job", JSON.stringify({ ...JOB, path: "/etc/passwd" }));
  refused("job", JSON.stringify({ ...JOB, task: "run" }));
  refused("answer", JSON.stringify({ job: RUN, values: [["1"]], blockTokens: 1 }));
  refused("setup", JSON.stringify({ kind: "lopper-work" }));
  refused("ranking", JSON.stringify([{ channels: [0.5] }]));
});

Deno.test("sizes: what differs leads from one shape to the other, and sizes of no block are refused", () => {
  const layer = { attention: { queryHeads: 2, kvHeads: 2 }, mlp: { intermediateSize: 4 } };
  const { blocks } = architectureOfLayers([layer, layer], { headDim: 2 });
  const dense = denseShape(blocks);
  const shape = [null, dense[1], { kvGroups: 1 }, { channels: 3 }];
  const sizes = sizesBetween(dense, shape);
  assert.deepEqual(sizes.map(([block]) => block), [0, 2, 3]);
  assert.deepEqual(withSizes(blocks, dense, sizes), shape);
  assert.deepEqual(withSizes(blocks, shape, sizesBetween(shape, dense)), dense);
  const none: readonly BlockSize[] = [
    { channels: 5 },
    { heads: 1 },
    { channels: 1, heads: 1 },
    {},
  ];
  for (const size of none) {
    assert.throws(() => withSizes(blocks, dense, [[1, size]]), WorkError, JSON.stringify(size));
  }
  assert.throws(() => withSizes(blocks, dense, [[4, null]]), WorkError);
});
