/** The user pressed Ctrl-C; the message says how to go on. */
export class Interrupted extends Error {}

/** Throws once Ctrl-C was pressed; `hint` says what stands, and how to go on from here. */
export type Interruption = (hint: string) => void;

/**
 * Runs `body` with a check that throws once Ctrl-C was pressed. The first press is answered at the next check, so that
 * nothing is left half-written; a second one ends the process at once.
 */
export async function interruptible<T>(body: (check: Interruption) => Promise<T>): Promise<T> {
  let pressed = false;
  const onSignal = () => {
    if (pressed) Deno.exit(130);
    pressed = true;
  };
  Deno.addSignalListener("SIGINT", onSignal);
  try {
    return await body((hint) => {
      if (pressed) throw new Interrupted(hint);
    });
  } finally {
    Deno.removeSignalListener("SIGINT", onSignal);
  }
}
