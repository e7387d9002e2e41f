/** The folder of the result in the folder of a run. */
export const RESULT_FOLDER = "result";
