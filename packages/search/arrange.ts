import type { LayerSpec, Resource } from "@lopper/core";
import type { UnitKind } from "@lopper/importance";
import type { Cost } from "./cost.ts";

/** The order of one kind of units from some step on, and why: one line of the journal. */
export interface Arrangement {
  readonly type: "order";
  /** Number of the stage that begins with it. */
  readonly stage: number;
  readonly units: UnitKind;
  /** Name of the ranking. */
  readonly chosen: string;
  /** Mean NLL of each sequence kept aside, after a trial cut in each order; none where only one was asked for. */
  readonly tried: readonly { readonly order: string; readonly nll: readonly number[] }[];
  /** For each layer its units, most important first, or null where it has none. */
  readonly layers: readonly (readonly number[] | null)[];
  readonly cost: Cost;
}

/** What a search asks for when a stage begins that narrows blocks. */
export interface ArrangeRequest {
  readonly units: UnitKind;
  readonly layers: readonly LayerSpec[];
  /** What the stage is to save, in per cent of what the dense model takes. */
  readonly percent: number;
  readonly resource: Resource;
}

/** Decides in which order the units of blocks go, and lays them out so: a stage asks for all its orders, then has them applied. */
export interface Arranger {
  arrange(
    request: ArrangeRequest,
  ): Promise<Pick<Arrangement, "chosen" | "tried" | "layers">>;
  /** Lays the units out as an arrangement says; kept streams are out of date afterwards. */
  apply(arrangement: Pick<Arrangement, "units" | "layers">): Promise<void>;
}
