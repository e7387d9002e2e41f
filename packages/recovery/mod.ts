export { REPAIR_TOKENS, repairBytes, repairTokens, repairWork } from "./budget.ts";
export { repair, type RepairResult } from "./repair.ts";
export { whyNotRefitted } from "./solvable.ts";
