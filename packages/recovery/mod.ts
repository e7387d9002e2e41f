export { REPAIR_TOKENS, repairBytes, repairTokens, repairWork } from "./budget.ts";
export type { RepairEvent } from "./course.ts";
export { LAMBDAS } from "./refit.ts";
export { repair, type RepairOptions, type RepairResult } from "./repair.ts";
export { whyNotRefitted } from "./solvable.ts";
