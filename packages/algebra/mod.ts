export * from "./cholesky.ts";
export * from "./eliminate.ts";
export * from "./products.ts";
