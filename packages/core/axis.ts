/**
 * An axis of a weight: of a fixed length, or so many rows for each unit of one of the block's
 * dimensions.
 */
export type Axis = number | UnitAxis;

/** The part of an axis that belongs to unit u is `u · width` to `(u + 1) · width − 1`. */
export interface UnitAxis {
  /** Name of the dimension. */
  readonly dimension: string;
  readonly width: number;
  /**
   * Of a dimension whose units have owners: the axis has the units of `width` owners from this one
   * on, one owner's behind the other's.
   */
  readonly from?: number;
}
