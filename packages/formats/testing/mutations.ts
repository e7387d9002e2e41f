import fc from "fast-check";

/** A file with something wrong in it. */
export type Mutation = (file: Uint8Array) => Uint8Array;

/** The file with `insert` in the place of `remove` bytes. */
export const spliced = (file: Uint8Array, start: number, remove: number, insert: Uint8Array) => {
  const at = Math.min(start, file.length);
  const rest = file.subarray(Math.min(at + remove, file.length));
  const out = new Uint8Array(at + insert.length + rest.length);
  out.set(file.subarray(0, at));
  out.set(insert, at);
  out.set(rest, at + insert.length);
  return out;
};

/** A bit that is flipped, bytes put in or taken out, and an end that is missing. */
export const bytesChanged = (position: fc.Arbitrary<number>): fc.Arbitrary<Mutation>[] => [
  fc.tuple(position, fc.integer({ min: 0, max: 7 })).map(([at, bit]): Mutation => (file) => {
    const out = file.slice();
    if (at < out.length) out[at] ^= 1 << bit;
    return out;
  }),
  fc.tuple(position, fc.uint8Array({ minLength: 1, maxLength: 8 })).map(
    ([at, insert]): Mutation => (file) => spliced(file, at, 0, insert),
  ),
  fc.tuple(position, fc.nat(16)).map(([at, n]): Mutation => (file) =>
    spliced(file, at, n, new Uint8Array(0))
  ),
  position.map((at): Mutation => (file) => file.slice(0, at)),
];

/** Runs by which the code is compiled and the young generation has its size. */
const WARM_UP = 500;
/** Runs over which the least is taken: some of them follow a collection. */
const WINDOW = 1000;

/**
 * How much memory of this isolate is held at the end of many runs and was not at the beginning.
 * Resident memory would count the tests beside it in the process, the heap's size what it grew to
 * once; what is used at one moment would count garbage, which a collection takes away.
 */
export class HeldMemory {
  readonly #runs: number;
  #done = 0;
  #first = Infinity;
  #last = Infinity;

  constructor(runs: number) {
    this.#runs = runs;
  }

  /** Is called once a run. */
  sample() {
    const run = this.#done++;
    if (run >= WARM_UP && run < WARM_UP + WINDOW) this.#first = Math.min(this.#first, allocated());
    if (run >= this.#runs - WINDOW) this.#last = Math.min(this.#last, allocated());
  }

  /** Bytes. */
  get grown(): number {
    return this.#last - this.#first;
  }
}

function allocated(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}
