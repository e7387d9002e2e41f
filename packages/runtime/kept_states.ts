import type { HiddenStates } from "./hidden_states.ts";
import type { KeptBytes, Workspace } from "./workspace.ts";

interface KeptBatch {
  readonly batch: number;
  readonly length: number;
  readonly data: KeptBytes;
  readonly base?: KeptBytes;
}

/** The hidden states of a text between two blocks, batch by batch, in a workspace. */
export class KeptStates {
  readonly #workspace: Workspace;
  readonly #batches: KeptBatch[] = [];

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** Batches that there are. */
  get length(): number {
    return this.#batches.length;
  }

  async read(number: number): Promise<HiddenStates> {
    const { batch, length, data, base } = this.#batches[number];
    return {
      ...{ batch, length, data: floats(await data.read()) },
      ...base && { base: floats(await base.read()) },
    };
  }

  /** Puts a batch in the place of another, which is let go, or behind the last one. */
  async put(number: number, { batch, length, data, base }: HiddenStates): Promise<void> {
    this.#dropOne(number);
    this.#batches[number] = {
      ...{ batch, length, data: await this.#workspace.keep(bytesOf(data)) },
      ...base && { base: await this.#workspace.keep(bytesOf(base)) },
    };
  }

  /** Lets all of them go. */
  drop() {
    for (const number of this.#batches.keys()) this.#dropOne(number);
    this.#batches.length = 0;
  }

  #dropOne(number: number) {
    this.#batches[number]?.data.drop();
    this.#batches[number]?.base?.drop();
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function floats({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT);
}
