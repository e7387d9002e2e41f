import assert from "node:assert/strict";
import fc from "fast-check";
import { packed, unpacked } from "./shared_activations.ts";
import { type Answer, readWork, workText } from "./work_schema.ts";

const JOB = `sha256:${"0".repeat(64)}`;

Deno.test("activations: every bit of them arrives", () =>
  fc.assert(
    fc.property(
      fc.float32Array({ minLength: 1 }),
      fc.array(fc.float64Array({ minLength: 1 }), { minLength: 4, maxLength: 4 }),
      (energy, [tokens, squares, weighted, own]) => {
        const seen = {
          energy: new Map([[3, energy]]),
          experts: new Map([[5, { tokens, squares, weighted, energy: own }]]),
        };
        const answer: Answer = { job: JOB, values: [], activations: packed(seen), blockTokens: 0 };
        const read = readWork("answer", workText(answer));
        assert.ok("activations" in read);
        const arrived = unpacked(read.activations!);
        // −0 adds what 0 does.
        const plain = (values: ArrayLike<number>) => Array.from(values, (value) => value + 0);
        assert.deepEqual(plain(arrived.energy.get(3)!), plain(energy));
        const experts = arrived.experts.get(5)!;
        assert.deepEqual(plain(experts.tokens), plain(tokens));
        assert.deepEqual(plain(experts.squares), plain(squares));
        assert.deepEqual(plain(experts.weighted), plain(weighted));
        assert.deepEqual(plain(experts.energy!), plain(own));
      },
    ),
  ));
