import type { Hub } from "../hub/hub.ts";
import { type MockHub, mockHub, type MockHubOptions } from "./mock_hub.ts";

export const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A hub as `HubClient` takes it, whose pauses are no longer than it takes to write them down. */
export interface TestHub extends Hub {
  /** Milliseconds of each. */
  readonly pauses: readonly number[];
}

/** A test with a mock hub, and a cache that is removed in the end. */
export function hubTest(
  name: string,
  options: MockHubOptions,
  body: (hub: TestHub, mock: MockHub) => Promise<void>,
) {
  Deno.test(`hub: ${name}`, async () => {
    const cache = await Deno.makeTempDir({ prefix: "lopper-test-" });
    const mock = mockHub(options);
    const pauses: number[] = [];
    const wait = (ms: number) => {
      pauses.push(ms);
      return new Promise<void>((resolve) => setTimeout(resolve, 1));
    };
    try {
      await body({ endpoint: mock.endpoint, token: null, cache, pauses, wait }, mock);
    } finally {
      await mock[Symbol.asyncDispose]();
      await Deno.remove(cache, { recursive: true });
    }
  });
}
