import { openWebBackend } from "./web_backend.ts";
import { testBackend } from "./testing/conformance.ts";

testBackend("wasm", () => openWebBackend({ threads: 1 }));

// Engines take a while to start: those of all tests are the same.
const shared = openWebBackend({ threads: 2 });
Deno.test.afterAll(async () => await (await shared)[Symbol.asyncDispose]());

testBackend("wasm", async () => {
  const backend = await shared;
  return {
    description: backend.description,
    compile: (onnx, weights) => backend.compile(onnx, weights),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});
