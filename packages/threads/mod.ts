export { type MessageThread, openThread, threadScope } from "./open_thread.ts";
