/** The shapes of points as paths around 0, about as large as they are in plots. */
export const SIGN_PATHS = {
  circle: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
  square: "M-3.5 -3.5h7v7h-7z",
  diamond: "M0 -5L4 0L0 5L-4 0z",
  "triangle-up": "M0 -4L4.5 4h-9z",
  cross: "M-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
} as const;
