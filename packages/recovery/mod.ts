export {
  REFIT_TOKENS,
  refitEquationBytes,
  refitKeptBytes,
  refitTokens,
  refitWork,
} from "./budget.ts";
export { LocalFitter } from "./local_fitter.ts";
export { batched } from "./pass.ts";
export { type RecoveryResult, refitAll } from "./refit_all.ts";
export { refitOf } from "./refit_of.ts";
export { whyNotRefitted } from "./solvable.ts";
export type { RefitWay } from "./refit_task.ts";
