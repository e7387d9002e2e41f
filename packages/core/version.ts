/** Version of Lopper, recorded in everything that it writes. */
export const VERSION = "0.3.0";
