import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/** What a script says that measures by `measurePeak` how reading a file went. */
export interface Measured {
  /** Bytes by which memory grew at its highest. */
  readonly grown: number;
  readonly fileBytes: number;
  readonly outcome: string;
}

/** Runs such a script in a process of its own, whose memory nothing else uses. */
export async function measuredProcess(script: URL, ...args: readonly string[]): Promise<Measured> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--no-check", "--v8-flags=--expose-gc"],
      ...[fileURLToPath(script), ...args],
    ],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Fails where memory grew by more than the file and so many bytes. */
export function assertGrownWithin({ grown, fileBytes, outcome }: Measured, allowance: number) {
  assert.ok(
    grown < fileBytes + allowance,
    `${(grown / 2 ** 20).toFixed(0)} MiB grown: ${outcome}`,
  );
}
