import { type Backend, type BackendName, openBackend, type OpenOptions } from "@lopper/backends";

/** Opens the backend that the user asked for; says what "auto" passed over. */
export async function openUserBackend(
  name: BackendName | "auto",
  options: OpenOptions,
  say: (message: string) => void,
): Promise<Backend> {
  const opened = await openBackend(name, options);
  for (const { name, reason } of opened.skipped) say(`backend ${name} does not load: ${reason}`);
  return opened.backend;
}
