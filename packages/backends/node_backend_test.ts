import { openNodeBackend } from "./node_backend.ts";
import { testBackend } from "./testing/conformance.ts";

testBackend("cpu", () => openNodeBackend({ threads: 2 }));
