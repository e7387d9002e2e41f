import type { Task } from "../task.ts";
import { boolQ } from "./boolq.ts";
import { hellaswag } from "./hellaswag.ts";
import { lambada } from "./lambada.ts";
import { piqa } from "./piqa.ts";
import { arcChallenge, arcEasy, openBookQa } from "./science.ts";
import { winogrande } from "./winogrande.ts";

/** The zero-shot tasks, in the order in which the paper lists its five, and others behind. */
export const TASKS: readonly Task[] = [
  piqa,
  winogrande,
  hellaswag,
  arcEasy,
  arcChallenge,
  boolQ,
  openBookQa,
  lambada,
];

/** The five tasks whose average MultiPruner (arXiv 2501.09949) reports. */
export const PAPER_TASKS: readonly string[] = [
  "piqa",
  "winogrande",
  "hellaswag",
  "arc_easy",
  "arc_challenge",
];
