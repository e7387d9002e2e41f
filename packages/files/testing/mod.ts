export { mockHub } from "./mock_hub.ts";
