import { ApiError, Unavailable } from './errors.js';
import { exchange, sleep } from './exchange.js';
import { READ_LIMITS, WRITE_LIMITS } from './limits.js';
import { webCrypto } from './web-crypto.js';

/** The rule of a decision that the service did not make. */
export const UNANSWERED = 'unanswered';

const MAX_ROWS = 10_000; // of one request
const PAUSE_SECONDS = 10;
const LONGEST_PAUSE_SECONDS = 60;

/**
 * @typedef {import('./index.js').Decision} Decision
 * @typedef {import('./index.js').DecisionOptions} DecisionOptions
 * @typedef {import('./index.js').RequestOptions} RequestOptions
 * @typedef {import('./index.js').WriteOptions} WriteOptions
 * @typedef {import('./index.js').ClientOptions} ClientOptions
 */

/** Calls the service; `index.d.ts` describes every method. */
export class PreferenceCenter {
  #base;
  #headers;
  #serviceTypes;
  #onUnanswered;
  #read;
  #write;
  #means;
  #pausedUntil = 0;

  /** @param {ClientOptions} options */
  constructor({ url, key, serviceTypes = [], onUnanswered = () => {}, ...more }) {
    this.#base = baseOf(url);
    if (!key) throw new TypeError('no key: an operator makes one with `keys add`');
    this.#headers = { Authorization: `Bearer ${key}`, Accept: 'application/json' };
    this.#serviceTypes = new Set(serviceTypes);
    this.#onUnanswered = onUnanswered;
    this.#read = { ...READ_LIMITS, ...more.readLimits };
    this.#write = { ...WRITE_LIMITS, ...more.writeLimits };
    this.#means = {
      fetch: more.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      sleep: more.sleep ?? sleep,
      draw: more.random ?? Math.random,
      clock: () => performance.now() / 1000,
    };
  }

  /**
   * @param {string} messageType
   * @param {string} recipient
   * @param {DecisionOptions} [options]
   */
  async decide(messageType, recipient, options = {}) {
    const [decision] = await this.#decideRows(messageType, [recipient], options);
    return decision;
  }

  /**
   * @param {string} messageType
   * @param {readonly string[]} recipients
   * @param {DecisionOptions} [options]
   */
  async decideAll(messageType, recipients, options = {}) {
    /** @type {Decision[]} */
    const decisions = [];
    for (let start = 0; start < recipients.length; start += MAX_ROWS) {
      const rows = recipients.slice(start, start + MAX_ROWS);
      decisions.push(...(await this.#decideRows(messageType, rows, options)));
    }
    return decisions;
  }

  /**
   * @param {any} rows
   * @param {WriteOptions} [options]
   */
  optOut(rows, options) {
    return this.#writeRows('/v1/opt-outs', rows, options);
  }

  /**
   * @param {any} rows
   * @param {WriteOptions} [options]
   */
  consent(rows, options) {
    return this.#writeRows('/v1/consents', rows, options);
  }

  /**
   * @param {any} rows
   * @param {WriteOptions} [options]
   */
  lift(rows, options) {
    return this.#writeRows('/v1/suppressions/lift', rows, options);
  }

  /**
   * @param {any} rows
   * @param {WriteOptions} [options]
   */
  links(rows, options) {
    return this.#writeRows('/v1/links', rows, options);
  }

  /**
   * @param {any} query
   * @param {RequestOptions} [options]
   */
  preferences(query, options) {
    return this.request('POST', '/v1/preferences/query', { ...options, body: query, read: true });
  }

  /**
   * @param {any} update
   * @param {WriteOptions} [options]
   */
  updatePreferences(update, options) {
    return this.request('PUT', '/v1/preferences', { ...options, body: update });
  }

  /**
   * @param {any} query
   * @param {RequestOptions} [options]
   */
  portalLink(query, options) {
    return this.request('POST', '/v1/portal-links', { ...options, body: query, read: true });
  }

  /**
   * @param {string} [after]
   * @param {RequestOptions & { limit?: number }} [options]
   */
  async *changes(after, { limit = 1000, ...options } = {}) {
    let watermark = after;
    for (let more = true; more; ) {
      const query = { limit: String(limit), ...(watermark ? { after: watermark } : {}) };
      const page = await this.request('GET', '/v1/changes', { ...options, query });
      yield page;
      watermark = page.next;
      more = page.more;
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {import('./index.js').AnyRequestOptions} [options]
   * @returns {Promise<any>}
   */
  async request(method, path, options = {}) {
    return this.#call(method, path, options, readStructure);
  }

  /**
   * @param {string} path
   * @param {any} rows
   * @param {WriteOptions} [options]
   */
  #writeRows(path, rows, options) {
    return this.#call('POST', path, { ...options, body: rows }, (answer) => {
      readStructure(answer);
      if (Array.isArray(rows) && answer.length !== rows.length) {
        throw new Error('there is not one result per row');
      }
      return answer;
    });
  }

  /**
   * @param {string} messageType
   * @param {readonly string[]} recipients
   * @param {DecisionOptions} options
   * @returns {Promise<Decision[]>}
   */
  async #decideRows(messageType, recipients, { channel = 'email', ...options }) {
    const isService = this.#serviceTypes.has(messageType);
    /** @returns {Decision[]} */
    const unanswered = () => recipients.map(() => ({ allow: isService, rule: UNANSWERED }));
    if (this.#means.clock() < this.#pausedUntil) return unanswered();
    const one = recipients.length === 1;
    const body = {
      message_type: messageType,
      channel,
      ...(one ? { recipient: recipients[0] } : { recipients }),
    };
    try {
      return await this.#call('POST', '/v1/decisions', { ...options, body, read: true }, (answer) =>
        readDecisions(one ? [answer] : answer.decisions, recipients.length),
      );
    } catch (error) {
      if (error instanceof Unavailable) this.#pause(error.retryAfter ?? 0);
      else if (!(isService && error instanceof ApiError)) throw error;
      this.#onUnanswered(error, messageType);
      return unanswered();
    }
  }

  /** @param {number} retryAfter in seconds */
  #pause(retryAfter) {
    const seconds = Math.min(Math.max(PAUSE_SECONDS, retryAfter), LONGEST_PAUSE_SECONDS);
    this.#pausedUntil = this.#means.clock() + seconds;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {import('./index.js').AnyRequestOptions} options
   * @param {(answer: any) => any} read
   */
  async #call(method, path, { body, query, read: isRead, limits, signal, idempotencyKey }, read) {
    const reads = isRead || method === 'GET';
    /** @type {Record<string, string>} */
    const headers = { ...this.#headers };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (!reads) headers['Idempotency-Key'] = idempotencyKey ?? (await webCrypto()).randomUUID();
    const search = query ? `?${new URLSearchParams(query)}` : '';
    const call = {
      method,
      path,
      url: `${this.#base}${path}${search}`,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      read,
      limits: { ...(reads ? this.#read : this.#write), ...limits },
      signal,
    };
    return exchange(call, this.#means);
  }
}

/** @param {string} url */
function baseOf(url) {
  const { protocol } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw new TypeError('the URL of the service looks like https://preferences.example.com');
  }
  return url.replace(/\/+$/, '');
}

/** @param {any} answer */
function readStructure(answer) {
  if (typeof answer !== 'object' || answer === null) throw new Error('not an object or array');
  return answer;
}

/**
 * @param {any[]} decisions
 * @param {number} count
 */
function readDecisions(decisions, count) {
  if (decisions.length !== count) throw new Error('there is not one decision per recipient');
  if (!decisions.every((each) => typeof each.allow === 'boolean')) throw new Error('no decision');
  return decisions;
}
