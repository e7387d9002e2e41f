import { BACKEND_NAMES, type BackendName, openBackend, PLANNED_BACKENDS } from "@lopper/backends";
import type { Backend } from "@lopper/backends";
import { UsageError } from "@lopper/core";

/** Names that --backend takes. */
export const BACKEND_CHOICES = ["auto", ...BACKEND_NAMES] as const;

/** Opens the backend that the user asked for; says what "auto" passed over. */
export async function openUserBackend(
  name: string,
  threads: number | undefined,
  say: (message: string) => void,
): Promise<Backend> {
  if (PLANNED_BACKENDS.includes(name)) {
    throw new UsageError(
      `--backend ${name} is not supported yet; this version runs on ${BACKEND_NAMES.join(" and ")}`,
    );
  }
  if (!(BACKEND_CHOICES as readonly string[]).includes(name)) {
    throw new UsageError(
      `--backend is ${JSON.stringify(name)}; it needs to be ${BACKEND_CHOICES.join(", ")}`,
    );
  }
  const opened = await openBackend(name as BackendName | "auto", { threads });
  for (const { name, reason } of opened.skipped) say(`backend ${name} does not load: ${reason}`);
  return opened.backend;
}
