// One call with its attempts.

import { ApiError, Unavailable } from './errors.js';
import { delayAfter, isRetried, parseRetryAfter } from './retries.js';

const TIMED_OUT = Symbol('timed out');

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {string} path for messages of errors
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string | undefined} body
 * @property {(answer: any) => any} read checks and returns the parsed JSON; throws if it can't
 * @property {{ attempt: number, call: number }} limits in seconds
 * @property {AbortSignal | undefined} signal
 *
 * @typedef {object} Means
 * @property {typeof globalThis.fetch} fetch
 * @property {(seconds: number, signal?: AbortSignal) => Promise<void>} sleep
 * @property {() => number} draw
 * @property {() => number} clock monotonic, in seconds
 *
 * @typedef {{ status: number | null, retryAfter: number | null, reason: string }} Failure
 */

/**
 * Send the call until it succeeds, is refused, or no time or attempt is left.
 *
 * @param {Call} call
 * @param {Means} means
 * @returns {Promise<any>}
 * @throws {Unavailable | ApiError} or the reason of the caller's own signal
 */
export async function exchange(call, means) {
  const end = means.clock() + call.limits.call;
  for (let attempt = 1; ; attempt += 1) {
    const seconds = Math.min(call.limits.attempt, end - means.clock());
    const outcome = await send(call, means.fetch, seconds);
    if ('answer' in outcome) return outcome.answer;
    const failed = { ...outcome, attempt, secondsLeft: end - means.clock() };
    const delay = delayAfter(failed, means.draw());
    if (delay === null) {
      const message = `${call.method} ${call.path} ${outcome.reason}`;
      throw new Unavailable(message, outcome.status, outcome.retryAfter);
    }
    await means.sleep(delay, call.signal);
  }
}

/**
 * One attempt. Throws ApiError, or the reason of the caller's signal.
 *
 * @param {Call} call
 * @param {typeof globalThis.fetch} fetch
 * @param {number} seconds
 * @returns {Promise<{ answer: any } | Failure>}
 */
async function send(call, fetch, seconds) {
  const { method, headers, body, signal } = call;
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  const timer = setTimeout(() => controller.abort(TIMED_OUT), seconds * 1000);
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    // The key is for the service alone: never follow it to another place.
    const init = { method, headers, body, redirect: 'manual', signal: controller.signal };
    const response = await fetch(call.url, /** @type {RequestInit} */ (init));
    return interpret(call, response, await response.text());
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (signal?.aborted) throw signal.reason;
    const reason =
      controller.signal.reason === TIMED_OUT
        ? `was not answered within ${seconds.toFixed(1)} s`
        : `could not be sent (${codeOf(error)})`;
    return { status: null, retryAfter: null, reason };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

/**
 * @param {Call} call
 * @param {Response} response
 * @param {string} text
 * @returns {{ answer: any } | Failure}
 */
function interpret(call, response, text) {
  const { status } = response;
  if (response.ok) {
    try {
      return { answer: call.read(text === '' ? null : JSON.parse(text)) };
    } catch {
      const reason = "was answered with what can't be read; is the URL that of the service?";
      return { status: null, retryAfter: null, reason };
    }
  }
  if (isRetried(status)) {
    const retryAfter = parseRetryAfter(response.headers.get('retry-after'), Date.now() / 1000);
    return { status, retryAfter, reason: `was answered with ${status}` };
  }
  throw new ApiError(status, parsed(text));
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {any} error */
function codeOf(error) {
  return error?.cause?.code ?? error?.code ?? error?.name ?? 'unknown';
}

/**
 * @param {number} seconds
 * @param {AbortSignal} [signal] ends the wait
 * @returns {Promise<void>}
 */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
  });
}
