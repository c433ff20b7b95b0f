// When to try again, and how long to wait before. Pure: no I/O and no clock.
// ../contract.json has the rule as examples, for every client alike. Times are in seconds.

export const ATTEMPTS = 3;
const RETRIED = new Set([408, 429, 500, 502, 503, 504]);
const FIRST_DELAY = 0.2;

/**
 * Whether the same request may succeed after this response.
 *
 * @param {number} status
 */
export function isRetried(status) {
  return RETRIED.has(status);
}

/**
 * The seconds to wait after a failed attempt, or null to give up.
 *
 * The wait doubles, less a random part of up to half, so that many clients do not return at
 * once; it is never shorter than Retry-After. What does not fit into the time left is not tried.
 *
 * @param {object} failed
 * @param {number | null} failed.status null: no response, or one that can't be read
 * @param {number | null} failed.retryAfter as `parseRetryAfter` returns it
 * @param {number} failed.attempt counted from 1
 * @param {number} failed.secondsLeft of the whole call
 * @param {number} drawn from 0 to 1, at random
 * @returns {number | null}
 */
export function delayAfter({ status, retryAfter, attempt, secondsLeft }, drawn) {
  if (attempt >= ATTEMPTS || (status !== null && !isRetried(status))) return null;
  const backoff = FIRST_DELAY * 2 ** (attempt - 1) * (1 - drawn / 2);
  const delay = Math.max(backoff, retryAfter ?? 0);
  return delay < secondsLeft ? delay : null;
}

/**
 * The seconds of a Retry-After header: a number, or a date (RFC 9110 10.2.3).
 *
 * @param {string | null | undefined} value
 * @param {number} now in seconds since 1970
 * @returns {number | null} null if there is none that can be read
 */
export function parseRetryAfter(value, now) {
  const text = (value ?? '').trim();
  if (/^[0-9]+$/.test(text)) return Number(text);
  // Date.parse would also read "1.5" and "-3", as some day.
  const at = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at / 1000 - now);
}
