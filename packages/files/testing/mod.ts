export { cutAfter } from "./misbehaviours.ts";
export { type MockHub, mockHub } from "./mock_hub.ts";
