import { inTemporaryFolder, QUICK } from "./support/cli.ts";
import { killAndResume } from "./support/kill.ts";

// The same with many more kills, also of the full embedded run, is in tests/interop.
Deno.test("a run that is killed while it searches, writes and exports, and resumed, decides the same", () =>
  inTemporaryFolder((folder) =>
    killAndResume(folder, [...QUICK, "--preset", "blockpruner", "--ratio", "8"], {
      kills: 5,
      seed: 1,
      moments: ["anywhere", "search", "writing"],
      pairs: true,
    })
  ));
