import assert from "node:assert/strict";
import fc from "fast-check";
import { seal, sealLine, unseal, unsealLine } from "./seal.ts";

const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 12);
const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true })
  .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
  .filter((value) => !Object.hasOwn(value, "checksum"));

Deno.test("seal: what was sealed comes back, through JSON text in any layout", async () => {
  await fc.assert(
    fc.asyncProperty(object, fc.string(), async (value, before) => {
      const text = JSON.stringify(await seal(value, before), null, 2);
      const back = await unseal(JSON.parse(text), before);
      assert.deepEqual(back?.value, value);
      assert.match(back!.checksum, /^[0-9a-f]{16}$/);
    }),
    { numRuns: 100, seed: SEED },
  );
});

Deno.test("seal: another value, another checksum, or another thing before it breaks it", async () => {
  await fc.assert(
    fc.asyncProperty(object, object, async (value, other) => {
      fc.pre(JSON.stringify(value) !== JSON.stringify(other));
      const sealed = await seal(value, "before");
      assert.equal(await unseal({ ...other, checksum: sealed.checksum }, "before"), null);
      assert.equal(await unseal({ ...sealed, checksum: "0".repeat(16) }, "before"), null);
      assert.equal(await unseal(sealed, "another"), null);
      assert.equal(await unseal(value, "before"), null, "no checksum at all");
    }),
    { numRuns: 100, seed: SEED },
  );
  for (const json of [null, [], 7, "text", {}]) assert.equal(await unseal(json), null);
});

Deno.test("seal: what JSON cannot say is sealed as what it says instead", async () => {
  const sealed = await seal({ a: NaN, b: undefined, c: -0 });
  assert.notEqual(await unseal(JSON.parse(JSON.stringify(sealed))), null);
});

Deno.test("seal: lines come back, each behind the one that it was written behind", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 6 }),
      fc.nat(),
      fc.nat(),
      async (values, i, j) => {
        const lines: string[] = [];
        const checksums = ["head"];
        for (const value of values) {
          const { line, checksum } = await sealLine(JSON.stringify({ value }), checksums.at(-1)!);
          assert.equal(JSON.parse(line).checksum, checksum);
          lines.push(line);
          checksums.push(checksum);
        }
        for (const [n, line] of lines.entries()) {
          const back = await unsealLine(line, checksums[n]);
          assert.deepEqual(back, {
            text: JSON.stringify({ value: values[n] }),
            checksum: checksums[n + 1],
          });
        }
        const [from, to] = [i % lines.length, j % lines.length];
        fc.pre(from !== to);
        assert.equal(await unsealLine(lines[from], checksums[to]), null, "behind another line");
        const at = i % lines[to].length;
        const changed = lines[to].slice(0, at) + "~" + lines[to].slice(at + 1);
        assert.equal(await unsealLine(changed, checksums[to]) === null, changed !== lines[to]);
        assert.equal(await unsealLine(lines[to].slice(0, at), checksums[to]), null, "torn");
      },
    ),
    { numRuns: 100, seed: SEED },
  );
});
