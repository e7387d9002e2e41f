import { type Architecture, hasExperts } from "@lopper/core";

/**
 * Whether a model's weights can stay on a device from run to run (`ResidentDecoder`). Which experts
 * tokens go to is found out beside the device, so those of a mixture are handed over when they run.
 */
export function canReside(architecture: Pick<Architecture, "blocks">): boolean {
  return !hasExperts(architecture);
}

/** What devices with memory of their own do for a model in a slower way, a sentence each. */
export function slowerOnDevices(architecture: Pick<Architecture, "blocks">): readonly string[] {
  return canReside(architecture) ? [] : [
    "on cuda and webgpu, weights do not stay on the device, but are handed over with every run: " +
    "which experts tokens go to is found out beside it",
  ];
}
