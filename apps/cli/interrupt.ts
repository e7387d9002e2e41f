/** The user pressed Ctrl-C; the message says how to go on. */
export class Interrupted extends Error {}

/**
 * Runs `body` with a check that throws once Ctrl-C was pressed. The first press is answered at the next check, so that
 * nothing is left half-written; a second one ends the process at once.
 */
export async function interruptible<T>(
  hint: string,
  body: (check: () => void) => Promise<T>,
): Promise<T> {
  let pressed = false;
  const onSignal = () => {
    if (pressed) Deno.exit(130);
    pressed = true;
  };
  Deno.addSignalListener("SIGINT", onSignal);
  try {
    return await body(() => {
      if (pressed) throw new Interrupted(hint);
    });
  } finally {
    Deno.removeSignalListener("SIGINT", onSignal);
  }
}
