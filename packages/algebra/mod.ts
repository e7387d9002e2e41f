export * from "./cholesky.ts";
export * from "./products.ts";
