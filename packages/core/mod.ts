export * from "./counts.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./model_spec.ts";
export * from "./prune_group.ts";
export * from "./prune_plan.ts";
