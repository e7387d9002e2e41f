import type { BlockKind } from "../block_scope.ts";
import { attention } from "./attention.ts";
import { experts } from "./experts.ts";
import { mlp } from "./mlp.ts";

/** The kinds of blocks that graphs are made for. */
export const BLOCK_KINDS: readonly BlockKind[] = [attention, mlp, experts];
