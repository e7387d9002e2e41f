/** Bytes that a model may take where the browser does not say how much there is. */
const UNKNOWN_GB = 4;
/** Of what there is; the rest is for everything else that is open. */
const SHARE = 0.6;

/** Chromium tells gigabytes, roughly; other browsers tell nothing. */
interface Told {
  readonly deviceMemory?: number;
}

/** Bytes that a run may take here. */
export function memoryHere(): number {
  const { deviceMemory = UNKNOWN_GB } = navigator as Told;
  return SHARE * deviceMemory * 1e9;
}
