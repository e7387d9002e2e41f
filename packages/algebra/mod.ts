export { RidgeFactor } from "./cholesky.ts";
export { eliminate, type Elimination, type EliminationOptions } from "./eliminate.ts";
export { GramSum } from "./gram.ts";
export { type Matrix, matrix, Products } from "./products.ts";
