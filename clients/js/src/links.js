// Signed links, made by the sender itself: no request, no network, no database.
// The service's docs/links.md describes them; ../contract.json has examples of every kind.

import { fromBase64url, toBase32, toBase64url } from './encodings.js';
import { concat, createSiv, xor } from './siv.js';
import { webCrypto } from './web-crypto.js';

/** @typedef {import('./encodings.js').Bytes} Bytes */

const KEY_PREFIX = 'pcl1';
const SECRET_BYTES = 32;
const CHANNELS = ['email', 'sms', 'phone']; // by number in tokens
const UUID_FLAG = 0x10;
const TAG_BYTES = 5;
const MAX_MESSAGE_ID = 64; // characters
const MAX_ADDRESS_BYTES = 254; // RFC 5321 4.5.3.1.3 less its angle brackets
const MAX_LABEL_LENGTH = 63; // in a domain this short no label is too long (RFC 1035 2.3.4)

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const E164 = /^\+[1-9][0-9]{6,14}$/;
const PRINTABLE = /^(?:[^\p{C}\p{Z}]| )*$/u;
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\x00-\x20\x7f<>"(),:;\\]/;
const LONE_SURROGATE = /\p{Cs}/u;
const ASCII = /^[\x00-\x7f]*$/;
// Addresses whose canonical form is just their lower case. For others only the service can
// compute it, so those get no mailto entry.
const CANONICAL =
  /^[a-z0-9_!#$%&'*/=?^`{|}~+-]+(?:\.[a-z0-9_!#$%&'*/=?^`{|}~+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?!(?:arpa|invalid|local|localhost|onion)$)[a-z]{2,}$/;

const encoder = new TextEncoder();

/** Makes links with the key of one sender. Throws TypeError for an invalid key. */
export class LinkMinter {
  #id;
  #secret;
  #mailDomain;
  #topics;
  #clock;
  /** @type {Promise<Sealer> | undefined} */
  #sealer;

  /**
   * @param {string} key as `keys link-key` of the service prints it
   * @param {{ clock?: () => number }} [options] `clock`: milliseconds since 1970
   */
  constructor(key, { clock = Date.now } = {}) {
    const { id, secret, about } = parseKey(key);
    this.#id = id;
    this.#secret = secret;
    this.#mailDomain = about.mail;
    this.#topics = new Map(
      about.topics.map(([name, channel, base], number) => [name, { number, channel, base }]),
    );
    this.#clock = clock;
  }

  /** The topics that this key makes links for. */
  get topics() {
    return [...this.#topics.keys()];
  }

  /**
   * The links of one message. Rejects with TypeError for what the key does not cover or a link
   * can't carry; the message of the error never contains the address.
   *
   * @param {string} address
   * @param {string} topic
   * @param {string} [messageId]
   */
  async mint(address, topic, messageId = '') {
    const found = this.#topics.get(topic);
    if (!found) {
      throw new TypeError(`this key makes no links for that topic, but for: ${this.topics}`);
    }
    const { text, canonical } = canonicalize(address, found.channel);
    const encoded = encoder.encode(text);
    this.#sealer ??= createSealer(this.#secret);
    const sealer = await this.#sealer;
    const plain = pack(found, encoded, messageId, Math.floor(this.#clock() / 1000));
    const token = `~${this.#id}.${toBase64url(await sealer.seal(plain))}`;
    const unsubscribeUrl = `${found.base}/u/${token}`;
    let value = `<${unsubscribeUrl}>`;
    if (canonical && this.#mailDomain) {
      const mailbox = await sealer.mailbox(this.#id, found.number, encoded);
      // HTTPS first: some clients stop at the first entry.
      value += `, <mailto:${mailbox}@${this.#mailDomain}?subject=unsubscribe>`;
    }
    return {
      unsubscribeUrl,
      preferencesUrl: `${found.base}/p/${token}`,
      headers: {
        'List-Unsubscribe': value,
        'List-Unsubscribe-Post': /** @type {const} */ ('List-Unsubscribe=One-Click'),
      },
    };
  }
}

/**
 * @typedef {object} Sealer
 * @property {(plain: Bytes) => Promise<Bytes>} seal
 * @property {(id: number, topic: number, address: Bytes) => Promise<string>} mailbox
 *
 * @typedef {{ number: number, channel: string, base: string }} KeyTopic
 */

/**
 * The plain content of a token: flags, number of the topic, seconds, length of the address,
 * address, message id.
 *
 * @param {KeyTopic} topic
 * @param {Bytes} address
 * @param {string} messageId
 * @param {number} seconds
 */
function pack(topic, address, messageId, seconds) {
  const isUuid = UUID.test(messageId);
  if (!isUuid && ([...messageId].length > MAX_MESSAGE_ID || !PRINTABLE.test(messageId))) {
    throw new TypeError(`a message id has up to ${MAX_MESSAGE_ID} printable characters`);
  }
  const head = new DataView(new ArrayBuffer(7));
  head.setUint8(0, CHANNELS.indexOf(topic.channel) | (isUuid ? UUID_FLAG : 0));
  head.setUint8(1, topic.number);
  head.setUint32(2, seconds);
  head.setUint8(6, address.length);
  const message = isUuid ? fromHex(messageId.replaceAll('-', '')) : encoder.encode(messageId);
  return concat(new Uint8Array(head.buffer), address, message);
}

/**
 * @param {Bytes} secret
 * @returns {Promise<Sealer>}
 */
async function createSealer(secret) {
  const { subtle } = await webCrypto();
  const seal = await createSiv(await derive(subtle, secret, 'link'));
  const mail = await derive(subtle, secret, 'mail');
  const tagWith = await createHmac(subtle, mail.slice(0, 32));
  const maskWith = await createHmac(subtle, mail.slice(32));
  /** @type {Sealer['mailbox']} */
  const mailbox = async (id, topic, address) => {
    const head = new Uint8Array([id >> 8, id & 0xff, topic]);
    const digest = new Uint8Array(await subtle.digest('SHA-256', address));
    const tag = (await tagWith(concat(head, digest))).slice(0, TAG_BYTES);
    const mask = await maskWith(concat(head, tag));
    return toBase32(concat(head, tag, xor(digest, mask)));
  };
  return { seal, mailbox };
}

/**
 * @param {SubtleCrypto} subtle
 * @param {Bytes} secret
 * @param {string} purpose
 */
async function derive(subtle, secret, purpose) {
  const key = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const info = encoder.encode(`preference_center.links of a sender: ${purpose}`);
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
  return new Uint8Array(await subtle.deriveBits(algorithm, key, 512));
}

/**
 * @param {SubtleCrypto} subtle
 * @param {Bytes} raw
 * @returns {Promise<(message: Bytes) => Promise<Bytes>>}
 */
async function createHmac(subtle, raw) {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await subtle.importKey('raw', raw, algorithm, false, ['sign']);
  return async (message) => new Uint8Array(await subtle.sign('HMAC', key, message));
}

/**
 * @param {string} key
 * @returns {{ id: number, secret: Bytes, about: { mail?: string, topics: [string, string, string][] } }}
 */
function parseKey(key) {
  try {
    const [prefix, number, encoded, described, ...rest] = key.trim().split('.');
    const secret = fromBase64url(encoded);
    const about = JSON.parse(new TextDecoder().decode(fromBase64url(described)));
    if (prefix === KEY_PREFIX && /^[0-9]+$/.test(number) && !rest.length) {
      if (secret.length === SECRET_BYTES && Array.isArray(about.topics)) {
        return { id: Number(number), secret, about };
      }
    }
  } catch {
    // Below: the cause may quote the key.
  }
  throw new TypeError(`not a link key: \`keys link-key\` of the service prints one, ${KEY_PREFIX}...`);
}

/**
 * The address as it is in the token, and whether that is its canonical form.
 *
 * @param {string} address
 * @param {string} channel
 */
function canonicalize(address, channel) {
  const text = address.trim();
  if (channel !== 'email') {
    if (!E164.test(text)) {
      throw new TypeError('write the phone number in international form, like +39 and digits');
    }
    return { text, canonical: false };
  }
  const lower = text.toLowerCase();
  if (ASCII.test(lower) && lower.length <= MAX_ADDRESS_BYTES && CANONICAL.test(lower)) {
    const domainLength = lower.length - lower.indexOf('@') - 1;
    return { text: lower, canonical: domainLength <= MAX_LABEL_LENGTH };
  }
  const at = text.lastIndexOf('@');
  if (
    at < 1 ||
    at === text.length - 1 ||
    FORBIDDEN.test(text) ||
    LONE_SURROGATE.test(text) ||
    encoder.encode(text).length > MAX_ADDRESS_BYTES
  ) {
    throw new TypeError('give one bare email address, like name@example.com');
  }
  return { text, canonical: false };
}

/** @param {string} text */
function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
