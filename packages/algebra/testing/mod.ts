export { leastError, plainElimination } from "./plain_elimination.ts";
