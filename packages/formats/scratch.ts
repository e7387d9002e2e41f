/**
 * A file for what finds no room in memory. It lasts until it is closed, and nothing of it is left
 * behind.
 */
export interface Scratch {
  /** Bytes that were written there before. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Writes bytes at a place, which may be beyond its end.
   * @throws {WriteError} when it cannot.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
