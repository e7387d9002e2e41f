import { inTemporaryFolder, QUICK } from "../support/cli.ts";
import { killAndResume } from "../support/kill.ts";

Deno.test("the embedded run, killed 20 times at random moments and resumed, decides the same", () =>
  inTemporaryFolder((folder) =>
    killAndResume(folder, [], { kills: 20, seed: 7, moments: ["anywhere"] })
  ));

Deno.test("60 kills over all that a run does, half of them with two processes on the folder, change nothing", () =>
  inTemporaryFolder((folder) =>
    killAndResume(folder, [...QUICK, "--ratio", "8", "--export", "gguf"], {
      kills: 60,
      seed: 3,
      moments: ["search", "recovery", "writing", "export", "anywhere"],
      pairs: true,
      replacing: true,
    })
  ));
