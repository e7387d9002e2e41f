import { CheckpointFormatError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";

/** @throws {CheckpointFormatError} saying that the key is missing. */
export function missingKey({ file }: GgufMetadata, key: string): never {
  throw new CheckpointFormatError(`the metadata lacks ${key}`, { file });
}
