import { InvalidArgumentError } from "commander";
import assert from "node:assert/strict";
import { MAX_THREADS } from "@lopper/backends";
import { MAX_SEED, percent } from "@lopper/options";
import { lopperProgram } from "../../program.ts";

/** What an option makes of a word, or the message of its refusal. */
function parsed(command: string, option: string, word: string): unknown {
  const found = lopperProgram().commands.find((c) => c.name() === command)!
    .options.find(({ long }) => long === option)!;
  try {
    return found.parseArg!(word, undefined);
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentError, String(error));
    return error.message;
  }
}

Deno.test("options: a bare fraction of per cent is asked back, and one with its sign is taken", () => {
  for (const option of ["--ratio", "--max-ppl-increase"]) {
    assert.equal(parsed("prune", option, "25"), 25);
    assert.equal(parsed("prune", option, "25 %"), 25);
    assert.equal(parsed("prune", option, "1"), 1);
    assert.equal(parsed("prune", option, "0.25%"), 0.25);
    assert.match(String(parsed("prune", option, "0.25")), /was 25% meant\? .* or 0\.25%/);
    assert.match(String(parsed("prune", option, ".07")), /was 7% meant\? .* or \.07%/);
    for (const word of ["0", "0%", "-3", "", "%", "x%", "NaN", "Infinity"]) {
      assert.match(String(parsed("prune", option, word)), /needs to be a number above 0/, word);
    }
  }
  assert.match(String(parsed("prune", "--ratio", "100%")), /below 100/);
  for (const value of [0.01, 0.5, 1, 12.5, 99]) {
    const { parse, words } = percent(100);
    const [word] = words(value);
    assert.equal(parse(word, { absolute: String }), value, "what is printed is taken");
  }
});

Deno.test("options: counts end where the machine, the generators and the memory end", () => {
  const bounds: [option: string, most: number, commands: readonly string[]][] = [
    ["--threads", MAX_THREADS, ["prune", "generate", "export", "evaluate", "compare"]],
    ["--seed", MAX_SEED, ["prune", "generate"]],
    ["--samples", 100_000, ["prune"]],
    ["--width-samples", 100_000, ["prune"]],
  ];
  for (const [option, most, commands] of bounds) {
    for (const command of commands) {
      assert.equal(parsed(command, option, String(most)), most);
      for (const word of [most + 1, 1e9 * most, "1e3", "-1", "0x10", "9".repeat(400)]) {
        const message = String(parsed(command, option, String(word)));
        assert.match(
          message,
          new RegExp(`whole number from [01] to ${most}( \\(.*\\))?\\.$`),
          option,
        );
      }
    }
  }
  assert.ok(MAX_THREADS >= navigator.hardwareConcurrency);
});
