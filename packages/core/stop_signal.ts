/**
 * Says that work is to stop: an AbortSignal, or what answers as one does. Work asks often, and
 * stops with what this throws. A signal that another thread sets is better asked where it is set:
 * this one may compute for seconds before it hears.
 */
export type StopSignal = Pick<AbortSignal, "throwIfAborted">;
