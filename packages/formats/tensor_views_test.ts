import { CheckpointFormatError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { MemorySink } from "./byte_sink.ts";
import { MemoryFolder } from "./listed_folder.ts";
import { openTensorStore } from "./safetensors/tensor_store.ts";
import { type TensorEntry, writeSafetensors } from "./safetensors/writer.ts";
import { isContiguous, placeValues, type Strided } from "./strided.ts";
import { type TensorView, ViewedTensorStore } from "./tensor_views.ts";

async function storeOf(tensors: Readonly<Record<string, Float32Array>>) {
  const entries = Object.entries(tensors).map(([name, values]): TensorEntry => ({
    ...{ name, dtype: "F32", shape: [values.length] },
    data: () => Promise.resolve(new Uint8Array(values.slice().buffer)),
  }));
  const sink = new MemorySink();
  await writeSafetensors(sink, entries);
  await sink.commit();
  return await openTensorStore(new MemoryFolder("m", { "model.safetensors": sink.bytes }));
}

/** Where each value lies, axis by axis. */
function places({ start, axes }: Strided): number[] {
  return axes.reduce(
    (found, { length, stride }) =>
      found.flatMap((place) => Array.from({ length }, (_, i) => place + i * stride)),
    [start],
  );
}

/** Axes of any order that lie within each other, with room between them. */
const strided: fc.Arbitrary<Strided> = fc.tuple(
  fc.nat(5),
  fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 })), {
    maxLength: 4,
  }),
  fc.infiniteStream(fc.nat()),
).map(([start, sizes, order]) => {
  let stride = 1;
  const axes = sizes.map(([length, room]) => {
    const axis = { length, stride };
    stride *= length * room;
    return { axis, rank: order.next().value as number };
  });
  return { start, axes: axes.sort((a, b) => a.rank - b.rank).map(({ axis }) => axis) };
});

const numbers = (count: number, first = 1) =>
  Float32Array.from({ length: count }, (_, i) => i + first);

Deno.test("tensor views: any part of any view is what lies at its places, and is put there again", async () => {
  let contiguous = 0, turned = 0;
  await fc.assert(
    fc.asyncProperty(strided, fc.nat(), fc.nat(), async (view, a, b) => {
      const at = places(view);
      const stored = [numbers(Math.max(...at) + 3), numbers(Math.max(...at) + 3, 1000)];
      const store = new ViewedTensorStore(await storeOf({ x: stored[0], y: stored[1] }), [{
        ...{ name: "v", shape: [2, at.length] },
        parts: [{ tensor: "x", strided: view }, { tensor: "y", strided: view }],
      }]);
      assert.deepEqual([...store.tensors.keys()], ["v"]);
      const wanted = Float32Array.from(stored.flatMap((values) => at.map((i) => values[i])));
      assert.deepEqual(await store.readFloat32("v"), wanted);
      const bytes = new Uint8Array(wanted.buffer);
      const [from, to] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y);
      assert.deepEqual(
        new Uint8Array(await store.readBytes("v", from, to - from)),
        bytes.slice(from, to),
      );
      await assert.rejects(store.readBytes("v", 1, bytes.length), RangeError);

      const put = new Uint32Array(stored[0].length);
      placeValues(Uint32Array.from(at, (_, i) => i + 1), view, put);
      const expected = new Uint32Array(stored[0].length);
      at.forEach((place, i) => expected[place] = i + 1);
      assert.deepEqual(put, expected);
      const inOrder = at.every((place, i) => place === at[0] + i);
      assert.equal(isContiguous(view), inOrder);
      if (inOrder) contiguous += 1;
      else turned += 1;
    }),
    { numRuns: 500, seed: 5 },
  );
  assert.ok(contiguous > 50 && turned > 50, `${contiguous} and ${turned}`);
});

/** What is read of a store while something is done: bytes, and how often. */
async function readWhile(
  views: readonly TensorView[],
  values: Float32Array,
  act: (store: ViewedTensorStore) => Promise<unknown>,
) {
  const base = await storeOf({ x: values });
  let bytes = 0, times = 0;
  const readBytes: typeof base.readBytes = async (name, offset, length) => {
    const found = await base.readBytes(name, offset, length);
    bytes += found.length;
    times += 1;
    return found;
  };
  const counted = { ...base, tensors: base.tensors, readBytes };
  await act(new ViewedTensorStore(counted, views));
  return { bytes, times };
}

Deno.test("tensor views: rows behind one another are one range, and a transpose is read once", async () => {
  const [rows, columns] = [600, 700];
  const values = numbers(rows * columns);
  const view = (axes: Strided["axes"], start = 0): TensorView[] => [{
    ...{ name: "v", shape: axes.map(({ length }) => length) },
    parts: [{ tensor: "x", strided: { start, axes } }],
  }];
  const some = view(
    [{ length: 100, stride: columns }, { length: columns, stride: 1 }],
    50 * columns,
  );
  const whole = (store: ViewedTensorStore) => store.readFloat32("v");
  assert.deepEqual(await readWhile(some, values, whole), { bytes: 100 * columns * 4, times: 1 });
  const part = (store: ViewedTensorStore) => store.readBytes("v", 8, 40);
  assert.deepEqual(await readWhile(some, values, part), { bytes: 40, times: 1 });
  const turned = view([{ length: columns, stride: 1 }, { length: rows, stride: columns }]);
  const read = await readWhile(turned, values, whole);
  assert.equal(read.bytes, rows * columns * 4);
  assert.ok(read.times < 4, `${read.times} times`);
  // Rows that take turns with others are read with them, and rows far from one another alone.
  const apart = (every: number) =>
    view([{ length: rows / every, stride: every * columns }, { length: columns, stride: 1 }], 7);
  const turns = await readWhile(apart(2), values, whole);
  assert.ok(turns.times < 4 && turns.bytes < rows * columns * 4, JSON.stringify(turns));
  const alone = await readWhile(apart(6), values, whole);
  assert.deepEqual(alone, { bytes: rows / 6 * columns * 4, times: rows / 6 });
  const within = (store: ViewedTensorStore) => store.readBytes("v", 4 * columns - 8, 16);
  assert.deepEqual(await readWhile(apart(2), values, within), { bytes: 16, times: 2 });
});

Deno.test("tensor views: a value that is no number is named by the tensor of the file", async () => {
  const base = await storeOf({ x: Float32Array.of(1, 2, 3, NaN), y: Float32Array.of(0) });
  const store = new ViewedTensorStore(base, [{
    ...{ name: "v", shape: [2] },
    parts: [{ tensor: "x", strided: { start: 1, axes: [{ length: 2, stride: 2 }] } }],
  }]);
  await assert.rejects(
    store.readFloat32("v"),
    (error) =>
      error instanceof CheckpointFormatError &&
      /tensor "x", byte \d+: value 3 is NaN/.test(error.message),
  );
  assert.deepEqual(await store.readFloat32("y"), Float32Array.of(0));
  await assert.rejects(store.readBytes("x"), /no tensor x/);
  await assert.rejects(store.readFloat32("z"), /no tensor z/);
});
