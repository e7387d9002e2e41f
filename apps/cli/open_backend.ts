import { BACKEND_NAMES, type BackendName, openBackend } from "@lopper/backends";
import type { Backend } from "@lopper/backends";
import { UsageError } from "@lopper/core";

/** Names that --backend takes. */
export const BACKEND_CHOICES = ["auto", ...BACKEND_NAMES] as const;
/** For the help text. */
export const BACKEND_HELP = `${BACKEND_CHOICES.slice(0, -1).join(", ")} or ${
  BACKEND_CHOICES.at(-1)
}`;

/** Opens the backend that the user asked for; says what "auto" passed over. */
export async function openUserBackend(
  name: string,
  threads: number | undefined,
  say: (message: string) => void,
): Promise<Backend> {
  if (!(BACKEND_CHOICES as readonly string[]).includes(name)) {
    throw new UsageError(
      `--backend is ${JSON.stringify(name)}; it needs to be ${BACKEND_CHOICES.join(", ")}`,
    );
  }
  const opened = await openBackend(name as BackendName | "auto", { threads });
  for (const { name, reason } of opened.skipped) say(`backend ${name} does not load: ${reason}`);
  return opened.backend;
}
