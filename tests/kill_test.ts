import { inTemporaryFolder, QUICK } from "./support/cli.ts";
import { killAndResume } from "./support/kill.ts";

// The same with 20 kills of the full embedded run is in tests/interop.
Deno.test("a run that is killed at random moments and resumed decides the same", () =>
  inTemporaryFolder((folder) =>
    killAndResume(folder, [...QUICK, "--preset", "blockpruner", "--ratio", "12"], 5, 1)
  ));
