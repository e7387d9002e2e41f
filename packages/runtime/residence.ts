import { type Architecture, hasExperts } from "@lopper/core";
import type { Decoder } from "./decoder.ts";
import { ResidentDecoder } from "./resident_decoder.ts";

/**
 * A copy of a model on its backend's device; null where none is kept there. Which experts tokens go
 * to is found out beside the device, so those of a mixture are handed over when they run.
 */
export function residentCopy({ backend, weights, architecture }: Decoder): ResidentDecoder | null {
  return backend.description.residentWeights && !hasExperts(architecture)
    ? new ResidentDecoder(backend, weights)
    : null;
}

/** What devices with memory of their own do for a model in a slower way, a sentence each. */
export function slowerOnDevices(architecture: Pick<Architecture, "blocks">): readonly string[] {
  return hasExperts(architecture)
    ? [
      "on cuda and webgpu, weights do not stay on the device, but are handed over with every run: " +
      "which experts tokens go to is found out beside it",
    ]
    : [];
}
