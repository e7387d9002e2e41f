import { openReferenceBackend } from "./reference_backend.ts";
import { testBackend } from "./testing/conformance.ts";

testBackend("reference", openReferenceBackend, { engine: /^lopper \d+\.\d+/ });
