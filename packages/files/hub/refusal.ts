import { formatSeconds, HubError, HubUnreachableError, plural } from "@lopper/core";
import type { Asked, Repository } from "./hub.ts";

/** Who was asked, and how often. */
export interface Asking {
  readonly endpoint: string;
  readonly token: string | null;
  readonly attempts: number;
  /** Seconds that the hub wants to pass before it is asked again. */
  readonly pause: number | null;
}

/** The error for an answer that is none of what was asked for. */
export function refusal(asked: Asked, response: Response, asking: Asking): HubError {
  return hubError(asked, asking.endpoint, reasonOf(asked, response, asking), response.status);
}

/** The error for a hub that does not answer. */
export function unreachable(asked: Asked, endpoint: string, cause: unknown): HubUnreachableError {
  const reason = `it cannot be reached (${innermost(cause)})`;
  return new HubUnreachableError(sentence(asked, endpoint, reason), null, { cause });
}

/** What went wrong in the end: what `fetch` throws says so in its causes only. */
function innermost(error: unknown): string {
  let found = error;
  while (found instanceof Error && found.cause !== undefined) found = found.cause;
  const words = found instanceof Error ? found.message : String(found);
  // The address was said already.
  return words.replace(/^error sending request for url \(\S+\): /, "");
}

/** An error about what was asked for, with the reason as a sentence without its end. */
export function hubError(
  asked: Asked,
  endpoint: string,
  reason: string,
  status: number | null = null,
  options?: ErrorOptions,
): HubError {
  return new HubError(sentence(asked, endpoint, reason), status, options);
}

function sentence(asked: Asked, endpoint: string, reason: string): string {
  const { repository: { name }, revision, path, isWritten } = asked;
  const at = revision === undefined ? name : `${name}@${revision}`;
  const what = path === undefined ? at : `${at}, ${path},`;
  const verb = isWritten ? "was to be written" : "was looked for";
  return `${what} ${verb} on ${endpoint}: ${reason}`;
}

function reasonOf(asked: Asked, { status, headers }: Response, asking: Asking): string {
  const code = headers.get("x-error-code");
  const { endpoint, token, attempts, pause } = asking;
  const opens = token === null
    ? "HF_TOKEN may hold what opens it"
    : `the token of HF_TOKEN ${asked.isWritten ? "may not write there" : "does not open it"}`;
  if (code === "GatedRepo") {
    const account = token === null ? "a token of that account" : "its token";
    return `it is for those who accepted its terms (${status}); accept them on ` +
      `${endpoint}/${pageOf(asked.repository)} and let HF_TOKEN hold ${account}`;
  }
  if (code === "RevisionNotFound") return `it has no such branch, tag or commit (${status})`;
  if (code === "RepoNotFound" || status === 404 && asked.path === undefined) {
    return `there is nothing of that name (${status}), or not for everyone; ${opens}`;
  }
  if (status === 404) return `it has no such file (404)`;
  if (status === 401 || status === 403) return `it refuses that (${status}); ${opens}`;
  if (status === 412) {
    return "somebody changed the branch meanwhile (412); run the same command again";
  }
  if (status === 429) {
    const when = pause === null ? "later" : `in ${formatSeconds(pause)}`;
    return `it was asked too often (429); run the same command again ${when}`;
  }
  const words = headers.get("x-error-message");
  const times = attempts > 1 ? `, ${plural(attempts, "time")} in a row` : "";
  return `it answers ${status}${words === null ? "" : ` (${words})`}${times}`;
}

function pageOf({ type, name }: Repository): string {
  return type === "model" ? name : `${type}s/${name}`;
}
