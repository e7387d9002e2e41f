export { all, faultsOf, readPage, tableOf, textOf } from "./read_page.ts";
export { SCORES, tinyRun } from "./run.ts";
