import type { BlockKind } from "@lopper/core";
import type { Cost } from "./cost.ts";

/** A repair of one block's output projection that was tried, or the verdict on all of them: one line of the journal. */
export type RepairLine = BlockRepair | RepairVerdict;

export interface BlockRepair {
  readonly type: "repair";
  /** Steps of the search that it repairs. */
  readonly steps: number;
  readonly layer: number;
  readonly kind: BlockKind;
  /** Removed blocks behind it, for which it makes up, too. */
  readonly folded: number;
  /** Ridge, as a share of the mean diagonal of the activations' Gram matrix. */
  readonly lambda: number;
  /** Mean NLL of each sequence that repairs are chosen on, in nats per token. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly kept: boolean;
  readonly cost: Cost;
}

export interface RepairVerdict {
  readonly type: "verdict";
  readonly steps: number;
  /** Mean NLL of each sequence that chose nothing. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly kept: boolean;
  readonly cost: Cost;
}
