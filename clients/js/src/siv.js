// AES-SIV (RFC 5297) without associated data, on Web Crypto, which has AES-CBC and AES-CTR.

import { webCrypto } from './web-crypto.js';

/** @typedef {import('./encodings.js').Bytes} Bytes */

const BLOCK = 16; // bytes
const ZERO = new Uint8Array(BLOCK);

/**
 * The function that seals: 16 bytes of tag, then the ciphertext.
 *
 * @param {Bytes} key 64 bytes: that of the tag, then that of the encryption
 * @returns {Promise<(plain: Bytes) => Promise<Bytes>>}
 */
export async function createSiv(key) {
  const { subtle } = await webCrypto();
  const tagKey = await subtle.importKey('raw', key.slice(0, 32), 'AES-CBC', false, ['encrypt']);
  const textKey = await subtle.importKey('raw', key.slice(32), 'AES-CTR', false, ['encrypt']);
  const mac = await createCmac(subtle, tagKey);
  const first = await mac(ZERO); // S2V of nothing yet
  return async (plain) => {
    const tag = await mac(withMask(plain, first));
    const counter = tag.slice();
    counter[8] &= 0x7f; // RFC 5297 2.6: the two bits that 32-bit counters would overflow into
    counter[12] &= 0x7f;
    const algorithm = { name: 'AES-CTR', counter, length: 64 };
    const sealed = new Uint8Array(await subtle.encrypt(algorithm, textKey, plain));
    return concat(tag, sealed);
  };
}

/**
 * The last step of S2V (RFC 5297 2.4): what remains is a MAC over the result.
 *
 * @param {Bytes} plain
 * @param {Bytes} mask
 */
function withMask(plain, mask) {
  if (plain.length < BLOCK) return xor(padded(plain), doubled(mask));
  const masked = plain.slice();
  const start = plain.length - BLOCK;
  for (let at = 0; at < BLOCK; at += 1) masked[start + at] ^= mask[at];
  return masked;
}

/**
 * AES-CMAC (RFC 4493): CBC whose last block is masked, and only the last block of it.
 *
 * @param {SubtleCrypto} subtle
 * @param {CryptoKey} key
 * @returns {Promise<(message: Bytes) => Promise<Bytes>>}
 */
async function createCmac(subtle, key) {
  /** @param {Bytes} blocks */
  const lastBlock = async (blocks) => {
    const sealed = await subtle.encrypt({ name: 'AES-CBC', iv: ZERO }, key, blocks);
    // Web Crypto appends a block of padding.
    return new Uint8Array(sealed).slice(blocks.length - BLOCK, blocks.length);
  };
  const whole = doubled(await lastBlock(ZERO));
  const partial = doubled(whole);
  return (message) => {
    const rest = message.length % BLOCK;
    const isWhole = message.length > 0 && rest === 0;
    const size = isWhole ? BLOCK : rest;
    const head = message.slice(0, message.length - size);
    const tail = message.slice(message.length - size);
    return lastBlock(concat(head, isWhole ? xor(tail, whole) : xor(padded(tail), partial)));
  };
}

/**
 * Multiplication by x in GF(2^128).
 *
 * @param {Bytes} block
 */
function doubled(block) {
  const result = block.map((byte, at) => (byte << 1) | ((block[at + 1] ?? 0) >> 7));
  if (block[0] & 0x80) result[BLOCK - 1] ^= 0x87;
  return result;
}

/** @param {Bytes} part of a block */
function padded(part) {
  const block = new Uint8Array(BLOCK);
  block.set(part);
  block[part.length] = 0x80;
  return block;
}

/**
 * @param {Bytes} left
 * @param {Bytes} right
 */
export function xor(left, right) {
  return left.map((byte, at) => byte ^ right[at]);
}

/** @param {...Bytes} parts */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
