import { inTemporaryFolder } from "../support/cli.ts";
import { killAndResume } from "../support/kill.ts";

Deno.test("the embedded run, killed 20 times at random moments and resumed, decides the same", () =>
  inTemporaryFolder((folder) => killAndResume(folder, [], 20, 7)));
