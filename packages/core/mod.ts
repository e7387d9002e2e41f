export * from "./counts.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./model_spec.ts";
export * from "./prune_group.ts";
export * from "./prune_plan.ts";
export * from "./run_record.ts";
export * from "./version.ts";
