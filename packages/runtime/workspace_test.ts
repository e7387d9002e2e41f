import type { Scratch } from "@lopper/formats";
import assert from "node:assert/strict";
import { KeptStates } from "./kept_states.ts";
import { Workspace } from "./workspace.ts";

/** A scratch file in memory, of which tests see whether it was opened and closed. */
class FakeScratch implements Scratch {
  readonly #bytes = new Uint8Array(1000);
  isOpen = true;

  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.slice(offset, offset + length));
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#bytes.set(bytes, offset);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.isOpen = false;
    return Promise.resolve();
  }
}

function opening() {
  const files: FakeScratch[] = [];
  const open = () => {
    files.push(new FakeScratch());
    return Promise.resolve(files.at(-1)!);
  };
  return { files, open };
}

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);

Deno.test("workspace: what finds no room in memory is in the file, and places are used again", async () => {
  const { files, open } = opening();
  const workspace = new Workspace(100, open);
  const first = await workspace.keep(bytes(60, 1));
  const second = await workspace.keep(bytes(40, 2));
  assert.deepEqual([workspace.inMemory, workspace.fileBytes, files.length], [100, 0, 0]);
  const third = await workspace.keep(bytes(30, 3));
  const fourth = await workspace.keep(bytes(30, 4));
  assert.deepEqual([workspace.inMemory, workspace.fileBytes, files.length], [100, 60, 1]);
  first.drop();
  first.drop();
  assert.equal(workspace.inMemory, 40);
  const fifth = await workspace.keep(bytes(60, 5));
  assert.deepEqual([workspace.inMemory, workspace.fileBytes], [100, 60], "there is room again");
  third.drop();
  third.drop();
  const sixth = await workspace.keep(bytes(30, 6)), seventh = await workspace.keep(bytes(30, 7));
  assert.equal(workspace.fileBytes, 90, "a place is given away once");
  for (
    const [kept, value] of [[second, 2], [fourth, 4], [fifth, 5], [sixth, 6], [seventh, 7]] as const
  ) {
    assert.ok((await kept.read()).every((byte) => byte === value), `${value}`);
  }
  await workspace[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
  assert.deepEqual(files.map(({ isOpen }) => isOpen), [false]);
});

Deno.test("workspace: without a file all is in memory, as it was given", async () => {
  const workspace = new Workspace(0);
  const given = bytes(60, 1);
  assert.equal(await (await workspace.keep(given)).read(), given);
  await workspace[Symbol.asyncDispose]();
});

for (const room of [0, Infinity]) {
  Deno.test(`kept states: come back as they were put, with room for ${room} bytes`, async () => {
    const { open } = opening();
    const workspace = new Workspace(room, open);
    const states = new KeptStates(workspace);
    const hidden = (value: number, base?: number) => ({
      ...{ batch: 1, length: 2, data: new Float32Array(6).fill(value) },
      ...base !== undefined && { base: new Float32Array(6).fill(base) },
    });
    await states.put(0, hidden(1));
    await states.put(1, hidden(2, 3));
    assert.equal(states.length, 2);
    assert.deepEqual(await states.read(0), hidden(1));
    assert.deepEqual(await states.read(1), hidden(2, 3));
    for (let i = 0; i < 5; i++) await states.put(0, hidden(4 + i, 5));
    await states.put(1, hidden(6));
    assert.deepEqual([await states.read(0), await states.read(1)], [hidden(8, 5), hidden(6)]);
    assert.ok(workspace.fileBytes + workspace.inMemory <= 4 * 24, "others take their place");
    // Of a larger array, a part.
    const part = new Float32Array([9, 1, 2, 3, 4, 5, 6, 9]).subarray(1, 7);
    await states.put(0, { batch: 1, length: 2, data: part });
    assert.deepEqual([...(await states.read(0)).data], [1, 2, 3, 4, 5, 6]);
    states.drop();
    assert.deepEqual([states.length, workspace.inMemory], [0, 0]);
    await workspace[Symbol.asyncDispose]();
  });
}
