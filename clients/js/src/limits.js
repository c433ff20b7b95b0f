// Seconds for one attempt, and for the whole call; ../contract.json has them for every client.

/** Somebody may be waiting for a decision. */
export const READ_LIMITS = { attempt: 2, call: 5 };

/** An opt-out has to arrive. */
export const WRITE_LIMITS = { attempt: 30, call: 90 };
