import process from "node:process";

/**
 * From 1.30 on, onnxruntime's native build keeps a device id and a database of events in the user's
 * home folder and a log in the temporary folder, and knows an address to send them to. It asks this
 * variable when it is loaded, so that whoever imports the engine imports this module first. Nobody
 * is asked: Lopper sends nothing.
 */
process.env.ORT_DISABLE_TELEMETRY = "1";
