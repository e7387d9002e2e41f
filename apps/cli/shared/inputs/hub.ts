import { UsageError } from "@lopper/core";
import { type Hub, hubCacheFolder } from "@lopper/files";
import { homedir } from "node:os";
import { userVariable } from "./paths.ts";

const ENDPOINT = "https://huggingface.co";

/** What the user's environment says of the hub; where it is null, nothing is to be downloaded. */
export interface UserHub {
  /** Folder of the cache. */
  readonly cache: string;
  readonly hub: Hub | null;
}

/**
 * The hub by the variables that all programs of Hugging Face read: HF_ENDPOINT, HF_TOKEN,
 * HF_HUB_OFFLINE, and those of the cache.
 * @param signal ends what is asked of it.
 * @throws {UsageError} for an address or a token that is none.
 */
export function userHub(offline: boolean, signal?: AbortSignal): UserHub {
  const cache = hubCacheFolder(userVariable, homedir());
  if (offline || /^(1|true|yes|on)$/i.test(userVariable("HF_HUB_OFFLINE") ?? "")) {
    return { cache, hub: null };
  }
  const endpoint = userVariable("HF_ENDPOINT")?.replace(/\/+$/, "") ?? ENDPOINT;
  // No message that says the address is to hold a password.
  if (endpoint.includes("@")) {
    throw new UsageError(
      "HF_ENDPOINT holds a name or a password; HF_TOKEN is the place for a token",
    );
  }
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new UsageError(`HF_ENDPOINT is ${JSON.stringify(endpoint)}; it needs to be an address`);
  }
  const token = userVariable("HF_TOKEN") ?? null;
  if (token !== null && !token.startsWith("hf_")) {
    throw new UsageError("HF_TOKEN is no token of the hub; those begin with hf_");
  }
  return { cache, hub: { endpoint, token, cache, signal } };
}
