import { openWebBackend } from "./web_backend.ts";
import { testBackend } from "./testing/conformance.ts";

testBackend("wasm", () => openWebBackend({ threads: 2 }));
