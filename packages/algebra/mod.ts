export * from "./cholesky.ts";
export * from "./eliminate.ts";
export * from "./gram.ts";
export * from "./products.ts";
