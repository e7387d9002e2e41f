export { type MockHub, mockHub } from "./mock_hub.ts";
