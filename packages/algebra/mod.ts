export { RidgeFactor } from "./cholesky.ts";
export { eliminate } from "./eliminate.ts";
export { GramSum } from "./gram.ts";
export { type Matrix, matrix, Products } from "./products.ts";
