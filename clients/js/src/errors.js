// What a call may throw. No message holds an address, a key or a token.

/** The base of all errors of this package. */
export class PreferenceCenterError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** There was no usable response in time, after every attempt. */
export class Unavailable extends PreferenceCenterError {
  /**
   * @param {string} message
   * @param {number | null} [status] of the last response, if there was one
   * @param {number | null} [retryAfter] in seconds, if the service asked for it
   */
  constructor(message, status = null, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The service refused the request: repeating it unchanged does not help. */
export class ApiError extends PreferenceCenterError {
  /**
   * @param {number} status
   * @param {any} problem the problem document (RFC 9457), or whatever else was received
   */
  constructor(status, problem) {
    const given = typeof problem === 'object' && problem !== null ? problem : {};
    const url = typeof given.type === 'string' ? given.type : '';
    const type = url.slice(url.lastIndexOf('/') + 1) || 'about:blank';
    const detail = String(given.detail ?? given.title ?? 'is the URL that of the service?');
    super(`${status} ${type}: ${detail}`);
    this.status = status;
    this.type = type;
    this.detail = detail;
    /** @type {import('./index.js').FieldError[]} */
    this.errors = Array.isArray(given.errors) ? given.errors : [];
  }
}
