export * from "./candidate.ts";
export * from "./greedy.ts";
export * from "./journal.ts";
export * from "./plan.ts";
export * from "./policy.ts";
export * from "./reach.ts";
