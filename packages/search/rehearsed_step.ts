import type { SampleKind } from "./policy.ts";

/** A step of which nothing is scored. */
export interface RehearsedStep {
  /** The samples on which its candidates would be. */
  readonly samples: SampleKind;
  readonly candidates: number;
  /** Whether it is the first of its stage. */
  readonly isFirst: boolean;
}
