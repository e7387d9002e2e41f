import { inTemporaryFolder } from "./support/cli.ts";
import { killAndResume } from "./support/kill.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

// The same with many more kills, also of the embedded model, is in tests/interop.
Deno.test("a run that is killed while it searches, recovers and writes, and resumed, decides the same", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [...await writeTinyRun(folder), "--ratio", "25"];
    await killAndResume(folder, settings, {
      kills: 5,
      seed: 1,
      moments: ["anywhere", "search", "recovery", "writing"],
      pairs: true,
    });
  }));
