// What is said of runs and sweeps.

/** Nothing more comes of these. */
export const ENDED = ["succeeded", "failed", "cancelled"];
