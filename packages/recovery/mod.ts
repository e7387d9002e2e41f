export { REFIT_TOKENS, refitBytes, refitTokens, refitWork } from "./budget.ts";
export { type RecoveryResult, refitAll } from "./refit_all.ts";
export { whyNotRefitted } from "./solvable.ts";
