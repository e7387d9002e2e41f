export * from "./backend.ts";
export * from "./open_backend.ts";
export * from "./options.ts";
