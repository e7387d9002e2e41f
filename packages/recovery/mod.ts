export { REPAIR_TOKENS, repairBytes, repairTokens, repairWork } from "./budget.ts";
export type { RepairEvent } from "./course.ts";
export { LAMBDAS } from "./refit.ts";
export type { RefitModel, RefitRun, RefitTexts } from "./refit_task.ts";
export { repair, type RepairResult } from "./repair.ts";
export { whyNotRefitted } from "./solvable.ts";
