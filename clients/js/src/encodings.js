// Bytes as text, without Node's Buffer.

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * Base64url without padding (RFC 4648 5).
 *
 * @param {Bytes} bytes
 */
export function toBase64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * The inverse. Throws for any other encoding.
 *
 * @param {string} text
 */
export function fromBase64url(text) {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  if (toBase64url(bytes) !== text) throw new Error('not the canonical encoding');
  return bytes;
}

/**
 * Base32 in lower case (RFC 4648 6), of a multiple of 5 bytes.
 *
 * @param {Bytes} bytes
 */
export function toBase32(bytes) {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits.replace(/.{5}/g, (five) => BASE32[Number.parseInt(five, 2)]);
}
