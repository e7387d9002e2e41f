export { RidgeFactor } from "./cholesky.ts";
export { eliminate } from "./eliminate.ts";
export { GramSum } from "./gram.ts";
export { type Matrix, matrix, partOf, Products, rowsOf } from "./products.ts";
