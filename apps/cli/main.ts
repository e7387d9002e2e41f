/** The program in a checkout; `scripts/release` begins others. */
import { runProcess } from "./run_process.ts";

await runProcess();
